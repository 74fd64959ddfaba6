/**
 * Bundle subscribers without a sidecar, many in one process: each has an SVID of its own, its own TLS connection and stream, and
 * verifies every bundle and timestamp that it gets from the root down, as a sidecar does.
 */
import { type TrustEvent, trustEndpoints } from '../../../src/api/trust.ts';
import { type Bundle, verifyBundle } from '../../../src/core/trust/bundle.ts';
import { verifyTimestamp } from '../../../src/core/trust/timestamp.ts';
import type { TlsIdentity } from '../../../src/edge/tls/settings.ts';
import { VerifierClient } from '../../../src/edge/verifier/client.ts';
import { unpackBundle } from '../../../src/edge/verifier/packed-bundle.ts';
import { machineMs } from './distribution.ts';

/** What the parent sends once. */
export interface Subscribing {
  readonly url: string;
  readonly trustDomain: string;
  /** Thumbprint of the root. */
  readonly root: string;
  /** DER, base64. */
  readonly authorities: readonly string[];
  readonly identities: readonly TlsIdentity[];
}

/** What a client has found good, and when (milliseconds of `machineMs`). */
export interface VerifiedBundle {
  readonly client: number;
  readonly epoch: number;
  readonly seq: number;
  readonly at: number;
  /** How many it carries. */
  readonly revocations: number;
  /** The revision that the policy calls itself. */
  readonly policy: string | undefined;
}
/** What a client reports: or why it goes no further. */
export type Report = VerifiedBundle | { readonly client: number; readonly fault: string };

let reports: Report[] = [];
const report = (one: Report): void => {
  reports.push(one);
  if (reports.length > 1) return;
  setImmediate(() => {
    process.send?.(reports);
    reports = [];
  });
};

/** So many connect at once: the verifier has so much patience with one address whose connections have not proven themselves yet. */
const AT_ONCE = 16;

const follow = async (
  index: number,
  all: Subscribing,
  identity: TlsIdentity,
  onFirst: () => void,
): Promise<void> => {
  const { url, trustDomain, root } = all;
  const authorities = all.authorities.map((der) => Buffer.from(der, 'base64'));
  const client = new VerifierClient({ kind: 'https', url, trustDomain, authorities, identity });
  let known: Bundle | undefined;
  let since = 0;
  const take = async (event: Extract<TrustEvent, { readonly event: 'bundle' }>): Promise<void> => {
    const packed =
      event.packed ?? (await client.callTagged(trustEndpoints.getBundle, {}, known?.digest))?.answer.packed;
    const text = await unpackBundle(packed ?? '');
    const last = { epoch: known?.epoch ?? 0, seq: known?.seq ?? 0 };
    const bundle = verifyBundle(text ?? '', { trustDomain, root, last, now: Math.floor(Date.now() / 1000) });
    if (!bundle.ok) throw new Error(`${bundle.reason}: ${bundle.detail}`);
    known = bundle.value;
    since = 0;
  };
  for await (const event of client.stream(trustEndpoints.streamTrust, {})) {
    if (event.event === 'bundle') await take(event);
    if (known === undefined || event.timestamp === undefined) continue;
    const timestamp = verifyTimestamp(event.timestamp, known, since, Math.floor(Date.now() / 1000));
    if (!timestamp.ok) throw new Error(`${timestamp.reason}: ${timestamp.detail}`);
    since = timestamp.value.iat;
    if (event.event !== 'bundle') continue;
    const { epoch, seq, revocations, policy } = known;
    report({
      client: index,
      epoch,
      seq,
      at: machineMs(),
      revocations: revocations.size,
      policy: policy?.revision,
    });
    onFirst();
  }
  throw new Error('the stream has ended');
};

const start = (index: number, all: Subscribing, identity: TlsIdentity): Promise<void> =>
  new Promise((resolve) => {
    follow(index, all, identity, resolve).catch((error: Error) =>
      report({ client: index, fault: error.message }),
    );
  });

process.once('message', async (message) => {
  const all = message as Subscribing;
  const numbered = [...all.identities.entries()];
  for (let from = 0; from < numbered.length; from += AT_ONCE)
    await Promise.all(
      numbered.slice(from, from + AT_ONCE).map(([index, identity]) => start(index, all, identity)),
    );
});
process.once('disconnect', () => process.exit(0));
process.on('SIGTERM', () => process.exit(0));
