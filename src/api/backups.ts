/** A copy of all that the verifier keeps, made while it runs. */
import { z } from 'zod';
import { endpoint } from './endpoint.ts';
import { none, why } from './forms.ts';

const backup = z.strictObject({
  folder: z.string().describe('Where it is, in the verifier’s directory; the next backup takes its place.'),
  head: z.string().describe('seq:hash of the last event that it surely holds.'),
  hasRoot: z.boolean().describe('Whether the root key is in it.'),
  hasPassphrase: z.boolean().describe('Whether its keys need a passphrase that is not in it.'),
});
export type BackupAnswer = z.output<typeof backup>;

export const backupEndpoints = {
  makeBackup: endpoint({
    name: 'makeBackup',
    method: 'POST',
    path: '/v1/backups',
    summary: 'Copy store and keys into a folder beside them; through the verifier’s own socket alone',
    access: ['admin'],
    changes: true,
    params: none,
    query: none,
    body: z.strictObject({ why }),
    answer: backup,
    status: 201,
  }),
};
