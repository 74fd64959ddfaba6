/** A verifier's authority and publication over a real store, revoking without end and saying on stdout what has left the house. */
import { z } from 'zod';
import { systemClock } from '../../src/edge/clock.ts';
import { makeSigningKey } from '../../src/edge/keys/signing-key.ts';
import { SYSTEM } from '../../src/verifier/actor.ts';
import { Authority } from '../../src/verifier/authority/authority.ts';
import { Publication } from '../../src/verifier/publication/publication.ts';
import { Edit, kind, Records } from '../../src/verifier/records.ts';
import { SqliteStore } from '../../src/verifier/store/sqlite-store.ts';
import { SILENT } from './authority.ts';

const [directory = ''] = process.argv.slice(2);
const revocation = kind('revocation', z.strictObject({ key: z.string() }));

const fail = (error: unknown): never => {
  throw error;
};
const store = SqliteStore.open(directory, { onWatcherFault: fail });
const records = new Records(store, systemClock);
const authority = await Authority.open({
  trustDomain: 'company.com',
  directory,
  records,
  clock: systemClock,
});
const publication = new Publication({
  records,
  authority,
  clock: systemClock,
  sources: {
    ...SILENT,
    revocations: {
      kinds: ['revocation'],
      read: async () => (await records.list(revocation)).map(({ value }) => value),
    },
  },
  onFault: fail,
});
await publication.open();

process.stdout.write(`root ${authority.rootThumbprint}\n`);
void (async () => {
  for await (const event of publication.subscribers.subscribe(new AbortController().signal)) {
    if (event.event === 'bundle')
      process.stdout.write(`bundle ${event.epoch} ${event.seq} ${event.digest}\n`);
  }
})();
for (let count = 1; ; count++) {
  const { thumbprint: key } = makeSigningKey();
  const revision = await records.commit(
    { event: 'key.revoked', actor: SYSTEM, why: '', data: { key } },
    new Edit().set(revocation, key, { key }),
  );
  await publication.whenPublished(revision);
  process.stdout.write(`revoked ${key}\n`);
  if (count % 5 === 0) await authority.rotate({ role: 'policy', compromised: true }, SYSTEM, 'again');
}
