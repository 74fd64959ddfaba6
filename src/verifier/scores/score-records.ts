/** What is kept of evidence: one record for each subject and reporter; and the scores that bundles carry. */
import { z } from 'zod';
import { type AgentId, isAgentId } from '../../core/spiffe-id.ts';
import type { ScoreEntry } from '../../core/trust/scores.ts';
import { kind } from '../records.ts';

const amount = z.number().min(0);
const seconds = z.int().min(0);

/** `evidence/<subject>/<reporter>`, both percent-encoded. */
export const EVIDENCE = kind(
  'evidence',
  z.strictObject({
    good: amount,
    denied: amount,
    forged: amount,
    at: seconds,
    /** Counts by outcome, decayed to `at`: only to say why. */
    outcomes: z.record(z.string(), amount),
  }),
);
export type EvidenceRecord = z.output<typeof EVIDENCE.schema>;

export const subjectPart = (subject: string): string => `${encodeURIComponent(subject)}/`;
export const evidenceName = (subject: string, reporter: string): string =>
  subjectPart(subject) + encodeURIComponent(reporter);
export const reporterOf = (name: string): string => decodeURIComponent(name.slice(name.indexOf('/') + 1));

/** Score, time, weight: as a bundle carries it. */
const entry = z.tuple([z.int().min(0).max(1000), z.int().min(1), z.int().min(0)]);
type Triple = z.output<typeof entry>;

export const tripleOf = ({ score, at, weight }: ScoreEntry): Triple => [score, at, weight];
export const entryFrom = ([score, at, weight]: Triple): ScoreEntry => ({ score, at, weight });

const agentId = z.custom<AgentId>(isAgentId, 'an agent ID');

/** `score-table/published`: what bundles carry. */
export const SCORE_TABLE = kind(
  'score-table',
  z.strictObject({ at: seconds, agents: z.record(agentId, entry) }),
);
export const PUBLISHED = 'published';

/** `score-due/<subject>`: what the next table will say; a table is made once a minute. */
export const SCORE_DUE = kind('score-due', z.strictObject({ id: agentId, entry }));

/** `score-mark/<subject>`: what the score was a while ago, to tell a trend. */
export const SCORE_MARK = kind('score-mark', z.strictObject({ before: entry.nullable(), last: entry }));
