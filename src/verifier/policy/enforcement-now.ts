/** What each live sidecar enforces, held against what is in force now. */
import type { Enforcement as EnforcementAnswer } from '../../api/policy.ts';
import { Refusal } from '../refusal.ts';
import type { Enforcement } from './enforcement.ts';
import type { PolicyRevisions } from './revisions.ts';

export const enforcementNow = async ({
  policies,
  enforcement,
  publication,
}: {
  readonly policies: Pick<PolicyRevisions, 'inForce'>;
  readonly enforcement: Enforcement;
  readonly publication: { readonly current: { readonly epoch: number; readonly seq: number } };
}): Promise<EnforcementAnswer> => {
  const { epoch, seq } = publication.current;
  const bundle = { epoch, seq };
  try {
    const { n, revision, digest } = await policies.inForce();
    return enforcement.answer({ bundle, policy: { n, revision, digest } });
  } catch (error) {
    if (error instanceof Refusal && error.reason === 'policy_unavailable')
      return enforcement.answer({ bundle });
    throw error;
  }
};
