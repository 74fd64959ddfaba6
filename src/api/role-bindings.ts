/** Who is what: roles by SPIFFE ID, by pattern of IDs, or by group of an OIDC issuer. */
import { z } from 'zod';
import { isIdPattern } from '../core/spiffe-id.ts';
import { endpoint, ROLES } from './endpoint.ts';
import { noBody, none, page, why } from './forms.ts';

const GROUP = /^group:https?:\/\/[\x21\x22\x24-\x7e]{1,400}#[\x21-\x7e]{1,200}$/;

export const bindingSubject = z
  .string()
  .refine((text) => isIdPattern(text) || GROUP.test(text), {
    error: 'a SPIFFE ID, …/* for any instance, or group:<issuer>#<group>',
  })
  .describe('A SPIFFE ID, one that ends in /*, or group:<issuer>#<group>.');

/** `agent` is what an SVID of an agent gives by itself. */
export const bindableRole = z.enum(ROLES).exclude(['agent']);

export const roleBinding = z.strictObject({ subject: bindingSubject, role: bindableRole });
export type RoleBinding = z.output<typeof roleBinding>;

const named = roleBinding.extend({ id: z.string().describe('Names this binding.') });

export const roleBindingEndpoints = {
  listRoleBindings: endpoint({
    name: 'listRoleBindings',
    method: 'GET',
    path: '/v1/role-bindings',
    summary: 'Who has which role',
    access: ['admin', 'auditor'],
    changes: false,
    params: none,
    query: page,
    body: noBody,
    answer: z.strictObject({ bindings: z.array(named) }),
    status: 200,
  }),
  addRoleBinding: endpoint({
    name: 'addRoleBinding',
    method: 'POST',
    path: '/v1/role-bindings',
    summary: 'Give a role',
    access: ['admin'],
    changes: true,
    params: none,
    query: none,
    body: roleBinding.extend({ why }),
    answer: named,
    status: 201,
  }),
  removeRoleBinding: endpoint({
    name: 'removeRoleBinding',
    method: 'DELETE',
    path: '/v1/role-bindings/{id}',
    summary: 'Take a role away',
    access: ['admin'],
    changes: true,
    params: z.strictObject({ id: z.string().regex(/^[A-Za-z0-9_-]{43}$/) }),
    query: none,
    body: z.strictObject({ why }),
    answer: noBody,
    status: 204,
  }),
};
