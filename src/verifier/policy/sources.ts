/** The policy in force and the lists, for the bundle. */
import type { PolicyLists } from '../../core/policy/model.ts';
import type { Source } from '../publication/sources.ts';
import type { Records } from '../records.ts';
import { CURRENT, HEAD, LISTS, nameOfNumber, POLICY_HEAD, POLICY_REVISION } from './policy-records.ts';

export const policySource = (records: Records): Source<Readonly<Record<string, unknown>> | undefined> => ({
  kinds: [POLICY_HEAD.prefix],
  read: async () => {
    const head = await records.get(POLICY_HEAD, HEAD);
    if (head === undefined || head.value.current === 0) return undefined;
    return (await records.get(POLICY_REVISION, nameOfNumber(head.value.current)))?.value.policy;
  },
});

export const listsSource = (records: Records): Source<PolicyLists | undefined> => ({
  kinds: [LISTS.prefix],
  read: async () => (await records.get(LISTS, CURRENT))?.value as PolicyLists | undefined,
});
