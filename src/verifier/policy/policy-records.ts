/** What is kept of policies: every revision, which one is in force, and which name means which content. */
import { z } from 'zod';
import {
  lists,
  type PolicyRevision,
  type WholePolicyRevision,
  wholePolicyRevision,
} from '../../api/policy.ts';
import { thumbprint } from '../../config/forms.ts';
import { type AgentId, isAgentId } from '../../core/spiffe-id.ts';
import { kind } from '../records.ts';

/** Who speaks, as far as a second person must be another one. */
const person = z.strictObject({
  id: z.custom<AgentId>(isAgentId, 'an agent ID').optional(),
  principal: z.string().optional(),
});

/** By number, so padded that names sort as numbers do. */
export const POLICY_REVISION = kind('policy-revision', wholePolicyRevision.extend({ person }));
export type PolicyRevisionRecord = z.output<typeof POLICY_REVISION.schema>;

/** `head`: the revision in force, 0 for none; and the last number given. */
export const POLICY_HEAD = kind(
  'policy-head',
  z.strictObject({ current: z.int().min(0), last: z.int().min(0) }),
);
export const HEAD = 'head';

/** What a policy calls itself stands in audit logs: one name, one content. */
export const POLICY_NAME = kind('policy-name', z.strictObject({ digest: thumbprint }));

/** `lists/current` */
export const LISTS = kind('lists', lists);
export const CURRENT = 'current';

export const nameOfNumber = (n: number): string => String(n).padStart(8, '0');

export const wholeOf = ({ person: _, ...whole }: PolicyRevisionRecord): WholePolicyRevision => whole;
export const factsOf = ({ source: _, policy: __, ...facts }: WholePolicyRevision): PolicyRevision => facts;
