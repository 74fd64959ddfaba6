/** The Trust Verifier: its rooms over one store, behind one service. */
import { chmodSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { CONTRACT } from '../api/contract.ts';
import { formatAddress } from '../config/forms.ts';
import type { VerifierConfig } from '../config/verifier-schema.ts';
import { MetricsDoor } from '../edge/http/metrics-door.ts';
import { KeyEncryptionError } from '../edge/keys/key-encryption.ts';
import type { Logger } from '../edge/telemetry/log.ts';
import type { Clock } from '../ports.ts';
import { SYSTEM } from './actor.ts';
import { AuthorityError } from './authority/roles-in-force.ts';
import { type Layout, layoutOf, MAX_SOCKET_PATH_BYTES } from './layout.ts';
import { Metrics } from './metrics.ts';
import { starterPolicy } from './policy/starter-policy.ts';
import { Edit, kind, Records } from './records.ts';
import { REVOCATION } from './revocation/revocation-records.ts';
import { openRooms, type Rooms } from './rooms.ts';
import { bindHandlers } from './service/bind-handlers.ts';
import { ROLE_BINDING } from './service/role-bindings.ts';
import { Service, type ServiceTls } from './service/service.ts';
import { SqliteStore } from './store/sqlite-store.ts';
import type { Store } from './store/store.ts';
import { VerifierFault } from './verifier-fault.ts';

export const DEFAULT_TRUST_DOMAIN = 'company.com';

export interface VerifierOptions {
  readonly config: VerifierConfig;
  /** Where relative names of the configuration begin. */
  readonly base: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Milliseconds between looks at what time has made due. */
  readonly tickMs?: number;
}

const TICK_MS = 1000;
/** Records whose change may mean that somebody may not listen any more. */
const ENDS_STREAMS = [REVOCATION, ROLE_BINDING];
const ANY_HOST = new Set(['0.0.0.0', '::']);

const domainKind = kind('domain', z.strictObject({ trustDomain: z.string(), since: z.int() }));
const DOMAIN_NAME = 'own';

/** The trust domain of this store, which the first start decides. */
const ownDomain = async (
  store: Store,
  clock: Clock,
  wanted: string | undefined,
): Promise<{ readonly trustDomain: string; readonly isFirst: boolean }> => {
  const records = new Records(store, clock);
  const known = await records.get(domainKind, DOMAIN_NAME);
  if (known === undefined) {
    const trustDomain = wanted ?? DEFAULT_TRUST_DOMAIN;
    const value = { trustDomain, since: Math.floor(clock.now() / 1000) };
    await records.commit(
      { event: 'domain.made', actor: SYSTEM, why: '', data: value },
      new Edit().set(domainKind, DOMAIN_NAME, value, null),
    );
    return { trustDomain, isFirst: true };
  }
  const { trustDomain } = known.value;
  if (wanted !== undefined && wanted !== trustDomain)
    throw new VerifierFault(
      `this directory holds the trust domain ${trustDomain}, not ${wanted}; another trust domain needs a directory of its own`,
    );
  return { trustDomain, isFirst: false };
};

export class Verifier {
  readonly trustDomain: string;
  /** Whether this start has made the trust domain. */
  readonly isFirst: boolean;
  readonly layout: Layout;
  readonly rooms: Rooms;
  private readonly options: VerifierOptions;
  private readonly service: Service;
  private readonly metrics: Metrics;
  private readonly metricsDoor: MetricsDoor;
  private tls: ServiceTls;
  private timer: NodeJS.Timeout | undefined;
  private ticking: Promise<void> | undefined;
  private port = 0;
  private metricsListen: string | undefined;

  private constructor(
    options: VerifierOptions,
    domain: { readonly trustDomain: string; readonly isFirst: boolean },
    layout: Layout,
    rooms: Rooms,
    tls: ServiceTls,
    metrics: Metrics,
  ) {
    this.options = options;
    this.trustDomain = domain.trustDomain;
    this.isFirst = domain.isFirst;
    this.layout = layout;
    this.rooms = rooms;
    this.tls = tls;
    const { clock, log, config } = options;
    const { connections, strangers, strangersPerSource, wrongSecrets, wrongSecretInterval } = config.limits;
    this.service = new Service({
      trustDomain: domain.trustDomain,
      clock,
      log,
      tls,
      roles: rooms.roles,
      standing: rooms.standing,
      dropped: () => rooms.authority.droppedAuthorities(),
      contract: CONTRACT,
      handlers: bindHandlers(rooms),
      onAnswered: (answered) => metrics.answered(answered),
      limits: {
        connections,
        strangers,
        strangersPerSource,
        guesses: { burst: wrongSecrets, refillSeconds: wrongSecretInterval },
      },
    });
    this.metrics = metrics;
    this.metricsDoor = new MetricsDoor({
      text: () => metrics.text(rooms),
      contentType: metrics.contentType,
      log,
    });
    rooms.authority.onChange(() => this.tick());
    rooms.store.watch((_revision, keys) => {
      if (keys.some((key) => ENDS_STREAMS.some(({ prefix }) => key.startsWith(`${prefix}/`))))
        this.recheckStreams();
    });
  }

  /** Opens everything and listens nowhere yet. Throws {@link VerifierFault} and what its rooms throw. */
  static async open(options: VerifierOptions): Promise<Verifier> {
    const { config, base, clock, log } = options;
    const layout = layoutOf(path.resolve(base, config.directory), base);
    if (Buffer.byteLength(layout.socket) > MAX_SOCKET_PATH_BYTES)
      throw new VerifierFault(
        `${layout.socket}: too long a name for a unix socket, ${MAX_SOCKET_PATH_BYTES} octets at most`,
      );
    const store = SqliteStore.open(layout.directory, {
      onWatcherFault: (error) => log.error({ err: error }, 'a change was not taken note of'),
    });
    try {
      mkdirSync(layout.keys, { recursive: true, mode: 0o700 });
      chmodSync(layout.keys, 0o700);
      const domain = await ownDomain(store, clock, config.trustDomain);
      // Known when it listens: a join string is made later.
      const box: { verifier?: Verifier } = {};
      const metrics = new Metrics();
      const rooms = await openRooms({
        config,
        trustDomain: domain.trustDomain,
        layout,
        store,
        clock,
        log,
        addresses: () => box.verifier?.addresses ?? [],
        onPublished: (facts) => {
          log.debug(facts, 'bundle published');
          metrics.published(facts);
        },
      });
      const verifier = new Verifier(options, domain, layout, rooms, await tlsOf(rooms), metrics);
      box.verifier = verifier;
      return verifier;
    } catch (error) {
      await store.close();
      const isOurs = error instanceof AuthorityError || error instanceof KeyEncryptionError;
      throw isOurs ? new VerifierFault(error.message, { cause: error }) : error;
    }
  }

  /** `host:port`, under which others reach this verifier. */
  get addresses(): readonly string[] {
    const { addresses, listen } = this.options.config;
    if (addresses.length > 0) return addresses.map(formatAddress);
    const host = ANY_HOST.has(listen.host) ? '127.0.0.1' : listen.host;
    return [formatAddress({ host, port: this.port })];
  }

  /** `host:port`, where metrics can be read; undefined when they are off. */
  get metricsAddress(): string | undefined {
    return this.metricsListen;
  }

  /**
   * Where no policy ever was: puts the starter policy in force, as the first event of its kind. Its text; undefined where it did
   * nothing.
   */
  async startPolicy(): Promise<string | undefined> {
    const { policies } = this.rooms;
    if ((await policies.history({ limit: 1 })).length > 0) return undefined;
    const source = starterPolicy(this.trustDomain, 'verifier');
    await policies.publish(SYSTEM, { source, why: 'a trust domain starts with one' });
    return source;
  }

  async start(): Promise<void> {
    const { config, log, tickMs = TICK_MS } = this.options;
    const { port } = await this.service.listenHttps(config.listen);
    this.port = port;
    await this.listenMetrics();
    await this.service.listenSocket(this.layout.socket);
    this.timer = setInterval(() => this.tick(), tickMs);
    log.info(
      {
        trustDomain: this.trustDomain,
        listen: formatAddress({ ...config.listen, port }),
        metrics: this.metricsListen ?? 'off',
        socket: this.layout.socket,
      },
      'verifier started',
    );
  }

  private async listenMetrics(): Promise<void> {
    const { listen } = this.options.config.metrics;
    if (listen === 'off') return;
    this.metrics.addProcess();
    try {
      const { port } = await this.metricsDoor.listen(listen);
      this.metricsListen = formatAddress({ ...listen, port });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new VerifierFault(
        `can't listen on ${formatAddress(listen)} for metrics (${code}): set another "metrics: {listen: …}" in --config, or "off"`,
        { cause: error },
      );
    }
  }

  /** Does what time has made due; what fails is logged and tried again. */
  private tick(): void {
    this.ticking ??= this.catchUp()
      .catch((error: unknown) =>
        this.options.log.error({ err: error }, 'what was due has failed; it is tried again'),
      )
      .finally(() => {
        this.ticking = undefined;
      });
  }

  private async catchUp(): Promise<void> {
    await this.rooms.authority.tick();
    this.rooms.publication.tick();
    await this.rooms.scores.tick();
    const tls = await tlsOf(this.rooms);
    const same =
      tls.identity.cert === this.tls.identity.cert &&
      tls.authorities.length === this.tls.authorities.length &&
      tls.authorities.every((der, index) => this.tls.authorities[index]?.equals(der));
    if (same) return;
    this.service.replaceTls(tls);
    this.tls = tls;
    this.options.log.info({ authorities: tls.authorities.length }, 'own certificate or CAs replaced');
  }

  /** Ends the streams of whoever may not listen any more. All others hear first what has changed: enforcement waits for that. */
  private recheckStreams(): void {
    this.rooms.publication
      .settled()
      .then(() => this.service.recheckStreams())
      .catch((error: unknown) => this.options.log.error({ err: error }, 'streams were not looked at'));
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    await this.metricsDoor.close();
    this.metrics.stop();
    await this.service.close();
    await this.ticking;
    await this.rooms.close();
    await this.rooms.store.close();
    this.options.log.info('verifier stopped');
  }
}

const tlsOf = async ({ authority }: Rooms): Promise<ServiceTls> => {
  const { certPem, keyPem } = await authority.serverIdentity();
  return { identity: { cert: certPem, key: keyPem }, authorities: authority.authorities() };
};
