/** Bent responses, read by us and by Node's client: what it refuses we refuse, and what both accept is one and the same. */
import { isDeepStrictEqual } from 'node:util';
import { readResponse } from '../../testkit/h1-responses.ts';
import { Random } from '../random.ts';
import { bentResponse, piecesOf } from './bend.ts';
import { nodeReading } from './node-reading.ts';

export interface ResponsesReport {
  readonly responses: number;
  readonly bent: number;
  /** Read the same by both. */
  readonly same: number;
  /** Of these, such as another request may follow. */
  readonly kept: number;
  readonly refusedByBoth: number;
  /** By us alone: where we are stricter. */
  readonly refusedByUs: number;
  readonly differences: number;
  readonly examples: readonly unknown[];
  /** Ours, by what was wrong; octets of one of those that Node accepts. */
  readonly stricter: Readonly<Record<string, { count: number; example: string }>>;
}

export const runResponses = async (responses: number, seed: number): Promise<ResponsesReport> => {
  const random = new Random(seed);
  const counts = { bent: 0, same: 0, kept: 0, refusedByBoth: 0, refusedByUs: 0, differences: 0 };
  const examples: unknown[] = [];
  const stricter: Record<string, { count: number; example: string }> = {};
  for (let at = 0; at < responses; at++) {
    const { octets, cuts, method, upgrade, bends } = bentResponse(random);
    if (bends > 0) counts.bent++;
    const pieces = piecesOf(octets, cuts);
    const ours = readResponse(pieces, { method, mayUpgrade: upgrade });
    const accepted = ours.end === 'whole' || ours.end === 'upgrade';
    // What follows a whole response, Node takes for the next one's; it is shown what we say is the response.
    const shown =
      ours.end === 'whole' ? piecesOf(octets.subarray(0, octets.length - ours.rest.length), cuts) : pieces;
    const theirs = await nodeReading(shown, method, upgrade);
    if (!accepted) {
      if (theirs.end === 'refused') counts.refusedByBoth++;
      else {
        counts.refusedByUs++;
        const why = ours.fault ?? 'cut';
        const seen = stricter[why] ?? { count: 0, example: octets.toString('latin1') };
        stricter[why] = { ...seen, count: seen.count + 1 };
      }
      continue;
    }
    const reading = {
      end: ours.end,
      status: ours.status,
      headers: ours.headers,
      body: ours.body,
      trailers: ours.trailers,
      informations: ours.informations.map(([status]) => status),
      rest: ours.end === 'upgrade' ? ours.rest : '',
    };
    const { code, keepsAlive, ...other } = theirs;
    const informations = other.informations.filter((one) => one !== 100);
    // Where it closes and we don't, the next request would be lost.
    const mayKeep = keepsAlive || !ours.keepsAlive;
    if (mayKeep && isDeepStrictEqual(reading, { ...other, informations })) {
      counts.same++;
      if (ours.keepsAlive) counts.kept++;
      continue;
    }
    counts.differences++;
    if (examples.length < 10)
      examples.push({
        octets: octets.toString('latin1'),
        cuts,
        method,
        upgrade,
        ours: { ...reading, keepsAlive: ours.keepsAlive },
        theirs,
      });
  }
  return { responses, ...counts, examples, stricter };
};
