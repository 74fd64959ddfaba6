/** Every endpoint of the verifier, by its name. */
import type { AnyEndpoint } from './endpoint.ts';
import { roleBindingEndpoints } from './role-bindings.ts';
import { serviceEndpoints } from './service.ts';

export const CONTRACT = {
  ...serviceEndpoints,
  ...roleBindingEndpoints,
} as const satisfies Readonly<Record<string, AnyEndpoint>>;

export type Contract = typeof CONTRACT;
