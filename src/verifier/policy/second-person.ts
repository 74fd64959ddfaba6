/** Whether who approves is somebody else than who asked. */
import type { Actor } from '../actor.ts';

export interface Author {
  readonly id?: string | undefined;
  readonly principal?: string | undefined;
}

/** What keeps `actor` from being the second person; undefined when nothing does. */
export const secondPersonFault = (author: string, asked: Author, actor: Actor): string | undefined => {
  // Whoever may open the socket: that says nothing of who it is, and it may well be the author.
  if (actor.id === undefined)
    return 'a second person approves under a name of its own: with an SVID, not through the socket';
  if (actor.name === author || actor.id === asked.id)
    return `${actor.name} has asked for it: somebody else must approve`;
  if (actor.principal !== undefined && actor.principal === asked.principal)
    return `${actor.principal} has asked for it under another name: somebody else must approve`;
  return undefined;
};
