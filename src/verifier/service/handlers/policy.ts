/** Policy revisions and lists at the API. */
import type { policyEndpoints } from '../../../api/policy.ts';
import type { Enforcement } from '../../policy/enforcement.ts';
import { enforcementNow } from '../../policy/enforcement-now.ts';
import type { Lists } from '../../policy/lists.ts';
import type { PolicyRevisions } from '../../policy/revisions.ts';
import type { Publication } from '../../publication/publication.ts';
import type { Handlers } from '../handler.ts';

export const policyHandlers = ({
  policies,
  lists,
  enforcement,
  publication,
}: {
  readonly policies: PolicyRevisions;
  readonly lists: Lists;
  readonly enforcement: Enforcement;
  readonly publication: Publication;
}): Handlers<typeof policyEndpoints> => ({
  listPolicyRevisions: async ({ query }) => ({ revisions: await policies.history(query) }),
  getPolicyRevision: ({ params }) => policies.get(params.n),
  getCurrentPolicy: () => policies.inForce(),
  publishPolicy: ({ actor, body }) => policies.publish(actor, body),
  rollbackPolicy: ({ actor, body }) => policies.rollback(actor, body),
  approvePolicy: ({ actor, params, body }) => policies.approve(actor, params.n, body),
  getEnforcement: () => enforcementNow({ policies, enforcement, publication }),
  getLists: () => lists.show(),
  changeLists: ({ actor, body }) => lists.change(actor, body),
});
