/** What a revocation would cut, and what it has cut, for people. */
import type { Revocation, RevocationDone, RevocationPreview, Revoked } from '../api/revocations.ts';
import { paint, print, printable, table } from './terminal.ts';
import { describeMoment, formatTime, nowSeconds } from './time-words.ts';

export const describeRevoked = (revoked: Revoked): string => {
  if ('link' in revoked)
    return `link ${revoked.link}${'parent' in revoked ? ` to ${revoked.delegatee}, and making it again` : ''}`;
  if ('key' in revoked)
    return `key ${revoked.key}${'lost' in revoked ? ', which its agent no longer has' : ''}`;
  if ('agent' in revoked) return `agent ${revoked.agent}`;
  if ('task' in revoked) return `task ${revoked.task} of ${revoked.principal}`;
  return `all that ${revoked.principal} granted before ${formatTime(revoked.before)}`;
};

const describeEnd = (until: number | null): string =>
  until === null ? 'for ever' : `until ${formatTime(until)}, when nothing that it bars can be alive`;

export const printPreview = (preview: RevocationPreview): void => {
  const { revoked, until, onRecord, agents, tasks, hops, unknown } = preview;
  print(`${paint('bold', printable(describeRevoked(revoked)))}`);
  print(`  in force ${describeEnd(until)}${onRecord ? '; it is revoked already' : ''}`);
  if (agents.length > 0) {
    print('');
    print(
      table(
        ['AGENT', 'EFFECT'],
        agents.map(({ id, effect }) => [printable(id), printable(effect)]),
      ),
    );
  }
  if (tasks.length > 0) {
    const now = nowSeconds();
    print('');
    print(
      table(
        ['TASK', 'PRINCIPAL', 'WOULD HAVE ENDED'],
        tasks.map(({ task, principal, exp }) => [task, printable(principal), describeMoment(exp, now)]),
      ),
    );
  }
  if (hops.length > 0) {
    print('');
    print(
      table(
        ['SIDECAR', 'WITH', 'HOPS IN ITS LAST REPORT'],
        hops.map(({ sidecar, agent, hops: count }) => [printable(sidecar), printable(agent), String(count)]),
      ),
    );
  }
  print('\nNot known:');
  for (const line of unknown) print(`  ${printable(line)}`);
};

export const printDone = ({ revoked, until, isNew, bundle }: RevocationDone): void => {
  const what = printable(describeRevoked(revoked));
  print(
    isNew
      ? `Revoked: ${what}; on record, and in bundle ${bundle.epoch}.${bundle.seq}, ${describeEnd(until)}.`
      : `It was revoked already: ${what}.`,
  );
};

export const printRevocations = (all: readonly Revocation[]): void => {
  const now = nowSeconds();
  if (all.length === 0) print('Nothing is revoked.');
  else
    print(
      table(
        ['REVOKED', 'BY', 'WHEN', 'UNTIL', 'WHY'],
        all.map(({ revoked, by, at, until, why }) => [
          printable(describeRevoked(revoked)),
          printable(by),
          describeMoment(at, now),
          until === null ? 'for ever' : until <= now ? 'over' : describeMoment(until, now),
          printable(why),
        ]),
      ),
    );
};
