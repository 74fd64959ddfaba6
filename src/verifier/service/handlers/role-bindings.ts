import type { roleBindingEndpoints } from '../../../api/role-bindings.ts';
import type { Handlers } from '../handler.ts';
import type { RoleBindings } from '../role-bindings.ts';

export const roleBindingHandlers = ({
  roles,
}: {
  readonly roles: RoleBindings;
}): Handlers<typeof roleBindingEndpoints> => ({
  listRoleBindings: async ({ query }) => ({ bindings: await roles.list(query) }),
  addRoleBinding: ({ body: { why, ...binding }, actor }) => roles.add(actor, binding, why),
  removeRoleBinding: ({ params, body, actor }) => roles.remove(actor, params.id, body.why),
});
