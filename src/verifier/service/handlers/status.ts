/** Status: from the contract to what reads every room. */
import type { statusEndpoints } from '../../../api/status.ts';
import type { Status } from '../../status.ts';
import type { Handlers } from '../handler.ts';

export const statusHandlers = ({
  status,
}: {
  readonly status: Status;
}): Handlers<typeof statusEndpoints> => ({ getStatus: () => status.answer() });
