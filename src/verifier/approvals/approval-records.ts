/** What is kept of approvals. */
import { z } from 'zod';
import { approval, approvalState } from '../../api/approvals.ts';
import { sha256Base64url } from '../../core/encoding/jws.ts';
import { kind } from '../records.ts';

export const APPROVAL = kind(
  'approval',
  approval.extend({
    state: approvalState.exclude(['expired']),
    /** The human behind who asked, as far as the verifier knows. */
    askedFor: z.string().optional(),
    token: z.string().optional(),
  }),
);
export type ApprovalRecord = z.output<typeof APPROVAL.schema>;

/** What one of them has waiting, by the digest of its name: so many and no more. */
export const WAITING = kind('approval-of', z.strictObject({ ends: z.int().describe('Seconds.') }));

export const waitingOf = (name: string): string => `${sha256Base64url(name)}/`;
