/** Every endpoint of the contract with what does it: one that has nothing does not compile. */
import type { Contract } from '../../api/contract.ts';
import type { Rooms } from '../rooms.ts';
import type { Handlers } from './handler.ts';
import { approvalHandlers } from './handlers/approvals.ts';
import { backupHandlers } from './handlers/backups.ts';
import { enrolmentHandlers } from './handlers/enrolment.ts';
import { keyHandlers } from './handlers/keys.ts';
import { policyHandlers } from './handlers/policy.ts';
import { delegateeHandlers, loginHandlers, principalHandlers, taskHandlers } from './handlers/principals.ts';
import { registryHandlers } from './handlers/registry.ts';
import { revocationHandlers } from './handlers/revocations.ts';
import { roleBindingHandlers } from './handlers/role-bindings.ts';
import { reportHandlers, scoreHandlers } from './handlers/scores.ts';
import { serviceHandlers } from './handlers/service.ts';
import { statusHandlers } from './handlers/status.ts';
import { trustHandlers } from './handlers/trust.ts';

export const bindHandlers = (rooms: Rooms): Handlers<Contract> => ({
  ...serviceHandlers(rooms),
  ...roleBindingHandlers(rooms),
  ...registryHandlers(rooms),
  ...enrolmentHandlers(rooms),
  ...keyHandlers(rooms),
  ...trustHandlers(rooms),
  ...principalHandlers(rooms),
  ...loginHandlers(rooms),
  ...taskHandlers(rooms),
  ...delegateeHandlers(rooms),
  ...approvalHandlers(rooms),
  ...statusHandlers(rooms),
  ...policyHandlers(rooms),
  ...revocationHandlers(rooms),
  ...scoreHandlers(rooms),
  ...reportHandlers(rooms),
  ...backupHandlers(rooms),
});
