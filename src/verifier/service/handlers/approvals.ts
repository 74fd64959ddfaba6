/** Approvals: from the contract to the room that holds them. */
import type { approvalEndpoints } from '../../../api/approvals.ts';
import type { Approvals } from '../../approvals/approvals.ts';
import type { Handlers } from '../handler.ts';

export const approvalHandlers = ({
  approvals,
}: {
  readonly approvals: Approvals;
}): Handlers<typeof approvalEndpoints> => ({
  askApproval: ({ actor, body }) => approvals.ask(actor, body),
  listApprovals: async ({ query: { state, ...page } }) => ({
    approvals: [...(await approvals.list(page, state))],
  }),
  getApproval: ({ params }) => approvals.get(params.id),
  grantApproval: ({ actor, params, body }) => approvals.grant(actor, params.id, body.token, body.why),
  denyApproval: ({ actor, params, body }) => approvals.deny(actor, params.id, body.why),
  fetchApprovalToken: ({ actor, params }) => approvals.fetch(actor, params.id),
});
