import type { backupEndpoints } from '../../../api/backups.ts';
import type { Backups } from '../../backups.ts';
import type { Handlers } from '../handler.ts';

export const backupHandlers = ({
  backups,
}: {
  readonly backups: Backups;
}): Handlers<typeof backupEndpoints> => ({
  makeBackup: ({ actor, body }) => backups.make(actor, body.why),
});
