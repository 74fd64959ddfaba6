/** A log on disk, read as `hopgate audit verify` reads it. */
import { readFileSync } from 'node:fs';
import { type LogFault, type LogState, LogVerifier } from '../../src/core/audit/verify-log.ts';
import type { Issuers } from '../../src/core/trust/wit.ts';

export interface VerifiedLog {
  readonly fault: LogFault | undefined;
  readonly state: LogState;
  readonly records: readonly Record<string, unknown>[];
  /** What follows the last LF: a write that the end of the process cut short. */
  readonly unfinished: string;
  /** Records after the last checkpoint: chained, not signed. */
  readonly unsigned: number;
}

export const verifyLogFile = (file: string, issuers: Issuers): VerifiedLog => {
  const lines = readFileSync(file, 'utf8').split('\n');
  const unfinished = lines.pop() ?? '';
  const verifier = new LogVerifier(issuers);
  let fault: LogFault | undefined;
  for (const line of lines) {
    fault = verifier.next(line);
    if (fault !== undefined) break;
  }
  const { state } = verifier;
  const records = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  return { fault, state, records, unfinished, unsigned: state.head.seq - state.signedThrough };
};

/** Hops that a log holds an inbound permit for. */
export const permittedHops = ({ records }: VerifiedLog): Set<unknown> =>
  new Set(
    records
      .filter(
        ({ kind, direction, verdict }) =>
          kind === 'decision' && direction === 'inbound' && verdict === 'permit',
      )
      .map(({ hop }) => hop),
  );
