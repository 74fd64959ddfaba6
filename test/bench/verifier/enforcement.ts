/** From a word of the verifier to its enforcement everywhere: 200 light clients that verify, and four sidecars that carry streams. */
import { setTimeout as wait } from 'node:timers/promises';
import { stringify } from 'yaml';
import { policyEndpoints } from '../../../src/api/policy.ts';
import { principalEndpoints } from '../../../src/api/principals.ts';
import { type RevocationTarget, revocationEndpoints } from '../../../src/api/revocations.ts';
import { trustEndpoints } from '../../../src/api/trust.ts';
import { parseLink } from '../../../src/core/delegation/link.ts';
import { mintChildLink, mintRootLink } from '../../../src/core/delegation/mint.ts';
import { REASONS, type ReasonCode } from '../../../src/core/reasons.ts';
import { makeSigningKey } from '../../../src/edge/keys/signing-key.ts';
import { makeTokenId } from '../../../src/verifier/authority/tokens.ts';
import { must } from '../../testkit/domain.ts';
import { TEST_POLICY, TEST_SCOPE } from '../../testkit/mesh.ts';
import { type Distribution, distributionOf, machineMs } from './distribution.ts';
import type { VerifiedBundle } from './light-clients.ts';
import type { OpenStream, Outcome, Pair } from './pair.ts';
import type { Subscribers } from './subscribers.ts';
import { TRUST_DOMAIN, type TrustDomain } from './trust-domain.ts';

/** Milliseconds after the call has returned; what was enforced before that is negative. */
export interface Enforcement {
  readonly rounds: number;
  readonly lightClients: Distribution;
  /** A stream ended at the agent that read it. */
  readonly streams: Distribution;
  /** The first refusal of a new request, by agent A's sidecar. */
  readonly requestsOut: Distribution;
  /** The same, by agent B's sidecar, of a caller who comes to it alone. */
  readonly requestsIn: Distribution;
  /** Of the call itself. */
  readonly call: Distribution;
  /** Logs that name the reason, of those that should. */
  readonly logs: { readonly found: number; readonly expected: number };
}

export interface Enforcing {
  readonly domain: TrustDomain;
  readonly subscribers: Subscribers;
  readonly pairs: readonly Pair[];
}

/** The worst of its parts at p99: many light clients must not hide a few sidecars. */
export const worstP99 = ({ lightClients, streams, requestsOut, requestsIn }: Enforcement): number =>
  Math.max(...[lightClients, streams, requestsOut, requestsIn].map(({ p99 }) => p99));

const nowSeconds = (): number => Math.floor(Date.now() / 1000);
/** So long may an allowed request be repeated until it is refused. */
const PATIENCE_MS = 10_000;
const RETRY_MS = 5;

class Samples {
  readonly lightClients: number[] = [];
  readonly streams: number[] = [];
  readonly requestsOut: number[] = [];
  readonly requestsIn: number[] = [];
  readonly call: number[] = [];
  readonly logs = { found: 0, expected: 0 };
  rounds = 0;

  get all(): Enforcement {
    return {
      rounds: this.rounds,
      lightClients: distributionOf(this.lightClients),
      streams: distributionOf(this.streams),
      requestsOut: distributionOf(this.requestsOut),
      requestsIn: distributionOf(this.requestsIn),
      call: distributionOf(this.call),
      logs: this.logs,
    };
  }
}

/** One chain for each pair, all below one first link. */
interface Authority {
  readonly chains: readonly string[];
  /** Ways to end all of them at once. */
  readonly targets: readonly { readonly target: RevocationTarget; readonly reason: ReasonCode }[];
}

/** A person, whose session has delegated to the first agent of each pair. */
const delegate = async ({ domain, pairs }: Enforcing, round: string): Promise<Authority> => {
  const key = makeSigningKey();
  const principal = `mailto:${round}@${TRUST_DOMAIN}`;
  const session = (await domain.join(`client/${round}`)).enrolled;
  await domain.operator.call(principalEndpoints.addPrincipal, {
    body: {
      uri: principal,
      human: true,
      keys: [{ name: 'laptop', x: key.x }],
      ceiling: { scope: TEST_SCOPE, delegatees: [`spiffe://${TRUST_DOMAIN}/client/*`] },
      why: 'bench',
    },
  });
  const common = { aud: [TRUST_DOMAIN], scope: TEST_SCOPE, ttlSeconds: 3600 };
  const first = must(
    mintRootLink(
      {
        ...common,
        anchorX: key.x,
        principal,
        delegatee: { id: session.id, x: session.keys.agent.x },
        maxDepth: 4,
        now: nowSeconds(),
        jti: makeTokenId(),
      },
      key.sign,
    ),
  );
  const parent = must(parseLink(first, true));
  const chains = pairs.map(({ id, x }) => {
    const link = mintChildLink(
      parent,
      1,
      {
        scope: TEST_SCOPE,
        ttlSeconds: 1800,
        delegatee: { id, x },
        kb: session.credentials.keyBinding,
        remainingDepth: 2,
        now: nowSeconds(),
        jti: makeTokenId(),
      },
      session.keys.agent.sign,
    );
    return `${first}~${must(link)}`;
  });
  return {
    chains,
    targets: [
      { target: { task: parent.id, principal }, reason: 'revoked_task' },
      { target: { chain: first }, reason: 'revoked_link' },
      { target: { key: session.keys.agent.thumbprint }, reason: 'revoked_key' },
      { target: { agent: session.id }, reason: 'revoked_agent' },
      { target: { link: parent.id }, reason: 'revoked_link' },
      { target: { principal }, reason: 'revoked_principal' },
    ],
  };
};

/** Repeats a request until it is refused for this reason; when. */
const refusedAt = async (ask: () => Promise<Outcome>, reason: string): Promise<number> => {
  const since = machineMs();
  for (;;) {
    const { status, code } = await ask();
    const at = machineMs();
    if (code === reason) return at;
    if (status !== 200 || at - since > PATIENCE_MS)
      throw new Error(`a new request got ${status} ${code ?? ''}, not ${reason}`);
  }
};

/** Repeats what the sidecars may not have heard of yet, until it is allowed. */
const allowed = async (ask: () => Promise<Outcome>): Promise<void> => {
  const since = machineMs();
  for (;;) {
    const { status, code } = await ask();
    if (status < 300) return;
    if (machineMs() - since > PATIENCE_MS)
      throw new Error(`a request before is refused: ${status} ${code ?? ''}`);
    await wait(RETRY_MS);
  }
};

interface Flow {
  readonly pair: Pair;
  readonly chain: string;
  readonly handle: string;
  readonly stream: OpenStream;
}

const flowOf = async (pair: Pair, chain: string): Promise<Flow> => {
  let handle = '';
  await allowed(async () => {
    const task = await pair.openTask(chain);
    ({ handle } = task);
    return task;
  });
  await allowed(() => pair.request(handle));
  await allowed(() => pair.knock(chain));
  return { pair, chain, handle, stream: await pair.openStream(handle) };
};

/** Says the word, and takes the times. */
const enforce = async (
  { subscribers }: Enforcing,
  flows: readonly Flow[],
  samples: Samples,
  reason: ReasonCode,
  say: () => Promise<{ readonly epoch: number; readonly seq: number }>,
  holds: (bundle: VerifiedBundle) => boolean,
): Promise<void> => {
  const called = machineMs();
  const bundle = await say();
  const returned = machineMs();
  const since = (at: number): number => at - returned;
  samples.rounds++;
  samples.call.push(returned - called);
  await Promise.all(
    flows.map(async ({ pair, handle, chain, stream }) => {
      const [out, inwards, cut] = await Promise.all([
        refusedAt(() => pair.request(handle), reason),
        refusedAt(() => pair.knock(chain), REASONS[reason].peer ? reason : 'denied'),
        stream.cut,
      ]);
      samples.requestsOut.push(since(out));
      samples.requestsIn.push(since(inwards));
      samples.streams.push(since(cut));
    }),
  );
  const seen = await subscribers.have(bundle);
  if (!seen.every(holds)) throw new Error('a light client has verified a bundle that does not say it');
  samples.lightClients.push(...seen.map(({ at }) => since(at)));
  for (const { pair } of flows) {
    samples.logs.expected += 2;
    samples.logs.found += await pair.logged(reason);
  }
};

const say = (text: string): void => {
  process.stderr.write(`${text}\n`);
};

/** Each round ends the authority of a person of its own, in another way. */
export const measureRevocation = async (world: Enforcing, rounds: number): Promise<Enforcement> => {
  const samples = new Samples();
  for (let round = 0; round < rounds; round++) {
    const { chains, targets } = await delegate(world, `person${round}`);
    const { target, reason } = targets[round % targets.length] as Authority['targets'][number];
    const flows = await Promise.all(world.pairs.map((pair, index) => flowOf(pair, chains[index] ?? '')));
    for (const { pair } of flows) pair.forgetLogs();
    // The person is news as well: what is timed is the word that follows, not the queue behind it.
    const newest = await world.domain.operator.callTagged(trustEndpoints.getBundle, {});
    if (newest !== undefined) await world.subscribers.have(newest.answer);
    await enforce(
      world,
      flows,
      samples,
      reason,
      async () =>
        (await world.domain.operator.call(revocationEndpoints.revoke, { body: { target, why: 'bench' } }))
          .bundle,
      ({ revocations }) => revocations > round,
    );
    say(`  ${round + 1}/${rounds} ${reason}: the call took ${samples.call.at(-1)?.toFixed(0)} ms`);
  }
  return samples.all;
};

const policyText = (revision: string, change: object): string =>
  stringify({ ...TEST_POLICY, ...change, revision });

/** Each round forbids everything, and then allows it again. */
export const measurePolicy = async (world: Enforcing, rounds: number): Promise<Enforcement> => {
  const samples = new Samples();
  const publish = async (source: string) => {
    const { bundle } = await world.domain.operator.call(policyEndpoints.publishPolicy, {
      body: { source, why: 'bench' },
    });
    if (bundle === undefined) throw new Error('the policy is not in force');
    return bundle;
  };
  const { chains } = await delegate(world, 'author');
  for (let round = 0; round < rounds; round++) {
    await world.subscribers.have(await publish(policyText(`open-${round}`, {})));
    const flows = await Promise.all(world.pairs.map((pair, index) => flowOf(pair, chains[index] ?? '')));
    for (const { pair } of flows) pair.forgetLogs();
    const revision = `closed-${round}`;
    const rules = [{ name: 'nobody', effect: 'deny' }];
    await enforce(
      world,
      flows,
      samples,
      'rule_denied',
      () => publish(policyText(revision, { rules })),
      ({ policy }) => policy === revision,
    );
    say(`  ${round + 1}/${rounds} ${revision}: the call took ${samples.call.at(-1)?.toFixed(0)} ms`);
  }
  return samples.all;
};
