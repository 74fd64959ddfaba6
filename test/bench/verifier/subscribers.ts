/** All light clients, from the side of whoever measures: when each of them had a bundle. */

import { privateKeyPem } from '../../../src/edge/keys/signing-key.ts';
import type { Joined } from '../../../src/edge/verifier/join.ts';
import type { Report, Subscribing, VerifiedBundle } from './light-clients.ts';
import type { Processes } from './processes.ts';
import { TRUST_DOMAIN, type TrustDomain } from './trust-domain.ts';

/** The load must not be the limit: it is spread over so many processes. */
const PROCESSES = 2;
const AT_ONCE = 8;
const PATIENCE_MS = 20_000;

export class Subscribers {
  readonly count: number;
  /** Of each client, the newest last. */
  private readonly seen: VerifiedBundle[][];
  private readonly waiting = new Set<() => void>();
  private fault: string | undefined;

  private constructor(count: number) {
    this.count = count;
    this.seen = Array.from({ length: count }, () => []);
  }

  /** Enrols them, each with a join string of its own, and resolves when all of them have the bundle of now. */
  static async start(processes: Processes, domain: TrustDomain, count: number): Promise<Subscribers> {
    const joined: Awaited<ReturnType<TrustDomain['join']>>[] = [];
    for (let from = 0; from < count; from += AT_ONCE)
      joined.push(
        ...(await Promise.all(
          Array.from({ length: Math.min(AT_ONCE, count - from) }, (_, index) =>
            domain.join(`listener/${from + index}`),
          ),
        )),
      );
    const subscribers = new Subscribers(count);
    const share = Math.ceil(count / PROCESSES);
    for (let from = 0; from < count; from += share)
      subscribers.fork(processes, domain, joined.slice(from, from + share), from);
    await subscribers.until(() => subscribers.seen.every((list) => list.length > 0));
    return subscribers;
  }

  private fork(
    processes: Processes,
    domain: TrustDomain,
    joined: readonly (Joined & { readonly root: string })[],
    from: number,
  ): void {
    const { child } = processes.fork('light-clients.ts');
    child.on('message', (message) => {
      for (const one of message as readonly Report[]) {
        if ('fault' in one) this.fault ??= `light client ${from + one.client}: ${one.fault}`;
        else this.seen[from + one.client]?.push(one);
      }
      for (const look of [...this.waiting]) look();
    });
    const [first] = joined;
    child.send({
      url: domain.url,
      trustDomain: TRUST_DOMAIN,
      root: first?.root ?? '',
      authorities: (first?.enrolled.roles.x509 ?? []).map((der) => der.toString('base64')),
      identities: joined.map(({ enrolled: { credentials, svidKey } }) => ({
        cert: credentials.svid,
        key: privateKeyPem(svidKey),
      })),
    } satisfies Subscribing);
  }

  private until(done: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (settle: () => void): void => {
        clearTimeout(timer);
        this.waiting.delete(look);
        settle();
      };
      const look = (): void => {
        if (this.fault !== undefined) end(() => reject(new Error(this.fault)));
        else if (done()) end(resolve);
      };
      const timer = setTimeout(
        () => end(() => reject(new Error(`not all light clients have it after ${PATIENCE_MS} ms`))),
        PATIENCE_MS,
      );
      this.waiting.add(look);
      look();
    });
  }

  /** Of each client, the first bundle that it has found good which is this one or a later one. */
  async have(bundle: { readonly epoch: number; readonly seq: number }): Promise<readonly VerifiedBundle[]> {
    const isThere = ({ epoch, seq }: VerifiedBundle): boolean =>
      epoch > bundle.epoch || (epoch === bundle.epoch && seq >= bundle.seq);
    await this.until(() => this.seen.every((list) => list.some(isThere)));
    return this.seen.flatMap((list) => list.find(isThere) ?? []);
  }
}
