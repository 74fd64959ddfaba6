/** A link is revoked in the midst of load: the next request on it is refused. */
import { renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { parseLink } from '../../../src/core/delegation/link.ts';
import { must } from '../../testkit/domain.ts';
import type { BenchWorld } from '../world.ts';
import type { LoadProcess } from './load-process.ts';
import type { Sidecar } from './systems.ts';

export interface Revocation {
  /** Whether each request was refused that was sent after the sidecar had read the bundle, and after the first refusal. */
  readonly denied: boolean;
  readonly reason: string;
  /** From the bundle on disk to the first refusal; files are looked at once a second. */
  readonly millis: number;
}

const LONGEST_MS = 10_000;

const putBundle = ({ directory, domain }: BenchWorld, seq: number, revoked: readonly string[]): void => {
  const next = path.join(directory, 'bundle.next');
  writeFileSync(next, domain.bundle({ seq, revoked: revoked.map((link) => ({ link })) }));
  renameSync(next, path.join(directory, 'bundle.jws'));
};

const saysReloaded = (stderr: NodeJS.ReadableStream): Promise<void> =>
  new Promise((resolve) => {
    const lines = createInterface({ input: stderr });
    lines.on('line', (line) => {
      if (!line.includes('"reloaded"')) return;
      lines.close();
      resolve();
    });
  });

export const measureRevocation = async (
  load: LoadProcess,
  world: BenchWorld,
  sidecar: Sidecar,
  request: string,
): Promise<Revocation> => {
  const busy = await load.open(sidecar.port, 16, sidecar.mode);
  const single = await load.open(sidecar.port, 1, sidecar.mode);
  const text = world.chain.split('~')[1] ?? '';
  const link = must(parseLink(text, false)).id;
  const reloaded = saysReloaded(sidecar.stderr);
  const odd = load.odd();
  const result = load.load(busy, LONGEST_MS / 2, 0, request);
  const written = performance.now();
  putBundle(world, 2, [link]);
  const first = await odd;
  const millis = performance.now() - written;
  await reloaded;
  const { okSentAfterOdd } = await result;
  // On a connection that knew the chain as good, too.
  const next = await load.load(single, 1, 0, request);
  await load.close(busy);
  await load.close(single);
  putBundle(world, 3, []);
  const reason = /"code":"(\w+)"/.exec(first.text)?.[1] ?? '';
  return {
    denied:
      first.status === 403 && reason.startsWith('revoked') && !okSentAfterOdd && next.odd === next.responses,
    reason,
    millis,
  };
};
