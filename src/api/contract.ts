/** Every endpoint of the verifier, by its name. */

import { approvalEndpoints } from './approvals.ts';
import { backupEndpoints } from './backups.ts';
import { delegateeEndpoints } from './delegatees.ts';
import type { AnyEndpoint } from './endpoint.ts';
import { enrolmentEndpoints } from './enrolment.ts';
import { keyEndpoints } from './keys.ts';
import { loginEndpoints } from './logins.ts';
import { policyEndpoints } from './policy.ts';
import { principalEndpoints } from './principals.ts';
import { registryEndpoints } from './registry.ts';
import { reportEndpoints } from './reports.ts';
import { revocationEndpoints } from './revocations.ts';
import { roleBindingEndpoints } from './role-bindings.ts';
import { scoreEndpoints } from './scores.ts';
import { serviceEndpoints } from './service.ts';
import { statusEndpoints } from './status.ts';
import { taskEndpoints } from './tasks.ts';
import { trustEndpoints } from './trust.ts';

export const CONTRACT = {
  ...serviceEndpoints,
  ...roleBindingEndpoints,
  ...registryEndpoints,
  ...enrolmentEndpoints,
  ...keyEndpoints,
  ...trustEndpoints,
  ...principalEndpoints,
  ...loginEndpoints,
  ...taskEndpoints,
  ...delegateeEndpoints,
  ...approvalEndpoints,
  ...statusEndpoints,
  ...policyEndpoints,
  ...revocationEndpoints,
  ...scoreEndpoints,
  ...reportEndpoints,
  ...backupEndpoints,
} as const satisfies Readonly<Record<string, AnyEndpoint>>;

export type Contract = typeof CONTRACT;
