/** What is odd about a policy that is well formed: all of it, from the text of the policy alone. */
import type { Policy } from '../model.ts';
import type { Finding } from './finding.ts';
import { lintRoutes } from './lint-routes.ts';
import { lintRules } from './lint-rules.ts';
import { lintScopes } from './lint-scopes.ts';
import { lintUnused } from './lint-unused.ts';

/**
 * Of a policy without faults of form (`faults.ts`). Whoever has a finding put right decides as before, or decides what was
 * written; what principals may grant, and who there is, stands elsewhere and is not asked.
 */
export const lintPolicy = (policy: Policy, nowSeconds: number): readonly Finding[] => [
  ...lintRoutes(policy, nowSeconds),
  ...lintRules(policy),
  ...lintScopes(policy),
  ...lintUnused(policy),
];
