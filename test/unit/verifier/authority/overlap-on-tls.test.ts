/** In the overlap two CAs have one name: TLS tells them apart, on both ends, in whatever order they are trusted. */
import { createPublicKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { expect, it, onTestFinished } from 'vitest';
import { privateKeyPem } from '../../../../src/edge/keys/signing-key.ts';
import { SYSTEM } from '../../../../src/verifier/actor.ts';
import type { Authority } from '../../../../src/verifier/authority/authority.ts';
import { makeTlsKey } from '../../../../src/verifier/authority/certificates.ts';
import { certificatePemOf } from '../../../../src/verifier/authority/key-ring.ts';
import { makeStage } from '../../../testkit/authority.ts';
import { agentIdOf } from '../../../testkit/domain.ts';
import { TestClock } from '../../../testkit/test-clock.ts';

const credentials = async (authority: Authority) => {
  const key = makeTlsKey();
  const id = agentIdOf('company.com', 'planning/1');
  const { pem } = await authority.svid({ id, key: createPublicKey(key), ttlSeconds: 3600 });
  return { key: privateKeyPem(key), cert: pem };
};

it('an SVID by the old CA and one by the new meet', async () => {
  const { open, clock } = makeStage(onTestFinished, { clock: new TestClock() });
  const authority = await open();
  const old = await credentials(authority);
  await authority.rotate({ role: 'svid-ca' }, SYSTEM, 'a drill');
  // TLS looks at the wall clock, so that the new CA takes over without its overlap here.
  const timing = { ...authority.timing, overlap: 0 };
  const after = await open({ timing });
  await after.tick();
  const fresh = await credentials(after);
  const signed = (one: typeof old, der: Buffer | undefined) =>
    new X509Certificate(one.cert).verify(new X509Certificate(der ?? '').publicKey);
  const [first, second] = (['retiring', 'active'] as const).map((wanted) => {
    const found = after.keys().find(({ role, state }) => role === 'svid-ca' && state === wanted);
    return Buffer.from(found?.public ?? '', 'base64url');
  });
  expect([signed(old, first), signed(fresh, first), signed(fresh, second)]).toEqual([true, false, true]);
  expect(clock.seconds).toBeLessThan(after.roles.exp);
  const trusted = after.roles.x509.map(certificatePemOf);
  expect(trusted).toHaveLength(2);
  for (const ca of [trusted, trusted.toReversed()])
    for (const [server, client] of [
      [old, fresh],
      [fresh, old],
    ] as const) {
      const listening = createServer({ ...server, ca, requestCert: true, rejectUnauthorized: true });
      listening.listen(0, '127.0.0.1');
      await once(listening, 'listening');
      const { port } = listening.address() as AddressInfo;
      const accepted = once(listening, 'secureConnection');
      const socket = connect({
        ...client,
        ca,
        port,
        host: '127.0.0.1',
        checkServerIdentity: () => undefined,
      });
      await once(socket, 'secureConnect');
      const [peer] = (await accepted) as [TLSSocket];
      expect([socket.authorized, peer.authorized]).toEqual([true, true]);
      socket.destroy();
      peer.destroy();
      listening.close();
    }
});
