/** Where a request may leave the mesh for: one host and one port, in one spelling (SPEC.md section 13). */
import { type AgentId, type IdPattern, idMatches } from '../spiffe-id.ts';

declare const destination: unique symbol;

/** `api.github.com:443`: a host name in lower case and a port; never an address. */
export type Destination = string & { readonly [destination]: true };

/** Who answers a hop: an agent, or what lies beyond the mesh. */
export type Callee = AgentId | Destination;

const LABEL = '[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?';
// The last label begins with a letter (RFC 3696 §2): what ends in numbers some resolver reads as an address, 0x7f.1 included.
const NAME = new RegExp(`^(?=.{1,253}:)(?:${LABEL}\\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?:([1-9][0-9]{0,4})$`);
/** Names that mean this machine, whatever they resolve to (RFC 6761 §6.3). */
const LOCAL = /^(?:localhost|.*\.localhost|localhost\.localdomain):/;

export const isDestination = (text: unknown): text is Destination => {
  if (typeof text !== 'string') return false;
  const port = NAME.exec(text)?.[1];
  return port !== undefined && Number(port) <= 65_535 && !LOCAL.test(text);
};

/** Whether a hop leaves the mesh: every agent ID begins with `spiffe://`, and no destination does. On the path of each request, so no more than this is looked at. */
export const leavesMesh = (callee: Callee | ''): callee is Destination =>
  callee !== '' && !callee.startsWith('spiffe://');

/** Whether one of the patterns stands for who is called: for what lies beyond the mesh none does. */
export const isOneOf = (patterns: readonly (IdPattern | AgentId)[], callee: Callee): boolean =>
  !leavesMesh(callee) && patterns.some((pattern) => idMatches(pattern, callee));

/** Its two parts. */
export const splitDestination = (text: Destination): { readonly host: string; readonly port: number } => {
  const colon = text.lastIndexOf(':');
  return { host: text.slice(0, colon), port: Number(text.slice(colon + 1)) };
};
