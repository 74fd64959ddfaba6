/** Every endpoint of the verifier, by its name. */
import type { AnyEndpoint } from './endpoint.ts';
import { enrolmentEndpoints } from './enrolment.ts';
import { keyEndpoints } from './keys.ts';
import { registryEndpoints } from './registry.ts';
import { roleBindingEndpoints } from './role-bindings.ts';
import { serviceEndpoints } from './service.ts';
import { trustEndpoints } from './trust.ts';

export const CONTRACT = {
  ...serviceEndpoints,
  ...roleBindingEndpoints,
  ...registryEndpoints,
  ...enrolmentEndpoints,
  ...keyEndpoints,
  ...trustEndpoints,
} as const satisfies Readonly<Record<string, AnyEndpoint>>;

export type Contract = typeof CONTRACT;
