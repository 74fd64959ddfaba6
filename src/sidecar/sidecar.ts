/** One sidecar, put together: building reads and checks everything, start opens the doors, drain closes them in order. */
import { mkdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { AuditLog } from '../edge/store/audit-log.ts';
import type { SidecarIdentity } from '../edge/store/identity-files.ts';
import type { Quarantine } from '../edge/store/quarantine.ts';
import { FileUseCounter } from '../edge/store/use-counter.ts';
import { LiveHops } from '../hop/forward.ts';
import { Admin, type AdminAddresses } from './admin.ts';
import { AdminTokens, tokenFiles } from './admin-tokens.ts';
import { paceIn } from './audit-pace.ts';
import { ConfigInForce } from './config-in-force.ts';
import { Contexts } from './contexts.ts';
import { SidecarPoints } from './decision-points.ts';
import { type DoorAddresses, Doors } from './doors.ts';
import { Drain } from './drain.ts';
import { Evidence } from './evidence.ts';
import { figureSources } from './figure-sources.ts';
import { Health } from './health.ts';
import { Identities } from './identities.ts';
import { makeParts } from './make-parts.ts';
import { McpSessions } from './mcp-sessions.ts';
import { SidecarMetrics } from './metrics.ts';
import type { Parts } from './parts.ts';
import { PolicyNotices } from './policy-notices.ts';
import { loadQuarantine, type MakeQuarantine } from './quarantined.ts';
import type { Reporter } from './reporter.ts';
import type { SidecarOptions } from './sidecar-options.ts';
import type { Source } from './source.ts';
import { loadSource, type MakeSource } from './sources.ts';
import { SidecarTelemetry } from './telemetry.ts';

const SWEEP_MS = 1000;
/** A revocation reaches both sidecars of a hop well within this. */
const EXPLAINED_WITHIN_MS = 1000;

/** What a started sidecar listens on. */
export interface SidecarAddresses extends DoorAddresses, AdminAddresses {
  readonly health: { readonly host: string; readonly port: number };
  /** `host:port`; undefined where they are off. */
  readonly metrics: string | undefined;
}

export class Sidecar {
  private readonly options: SidecarOptions;
  private readonly stateDirectory: string;
  private readonly identities: Identities;
  private readonly source: Source;
  private readonly reporter: Reporter | undefined;
  private readonly audit: AuditLog;
  private readonly parts: Parts;
  private readonly doors: Doors;
  private readonly health: Health;
  private readonly admin: Admin;
  private readonly quarantine: Quarantine | undefined;
  private readonly points: SidecarPoints;
  private readonly metrics: SidecarMetrics;
  private readonly telemetry: SidecarTelemetry;
  private readonly sessions: McpSessions;
  private readonly stops: (() => void)[] = [];
  private readonly drained: (() => void)[] = [];
  private readonly configs: ConfigInForce;
  private readonly drainage: Drain;
  private draining: Promise<void> | undefined;
  private stopped = false;
  /** Trust and identity are there. */
  private isOpen = false;
  private isLogOpen = false;
  private readonly fileAt = (name: string): string => resolve(dirname(this.options.configFile), name);

  /** Loads what this configuration needs of the program. Rejects with a sentence about the file at fault. Opens no port. */
  static async make(options: SidecarOptions): Promise<Sidecar> {
    const [source, quarantine] = [loadSource(options.config), loadQuarantine(options.config)];
    return new Sidecar(options, await source, await quarantine);
  }

  private constructor(options: SidecarOptions, makeSource: MakeSource, keep: MakeQuarantine | undefined) {
    this.options = options;
    const { config, clock, log } = options;
    const configs = new ConfigInForce({
      file: options.configFile,
      config,
      digest: options.configDigest,
      clock,
      log,
    });
    this.configs = configs;
    this.stateDirectory = this.fileAt(config.stateDirectory);
    mkdirSync(this.stateDirectory, { recursive: true, mode: 0o700 });
    this.identities = new Identities(clock);
    const evidence = config.trust.verifier === undefined ? undefined : new Evidence();
    const contexts = new Contexts(config.limits.contexts, config.limits.contextIdle * 1000, clock);
    const sourced = makeSource(
      {
        config,
        fileAt: this.fileAt,
        stateDirectory: this.stateDirectory,
        clock,
        log,
        onIdentity: (identity) => this.onIdentity(identity),
        onTls: () => this.doors.renew(),
      },
      {
        evidence,
        version: options.version,
        identity: () => this.identities.current,
        rotationBusyUntil: () => this.parts.rebinding.busyUntil,
      },
    );
    this.source = sourced.source;
    this.reporter = sourced.reporter;
    const live = new LiveHops(evidence === undefined ? 0 : EXPLAINED_WITHIN_MS, () => clock.monotonic());
    const identity = (): SidecarIdentity => this.identities.current;
    this.audit = new AuditLog({
      file: this.stateFile(config.audit.file),
      durability: config.audit.durability,
      ...paceIn(config),
      signer: () => identity().audit,
      clock,
      onFailure: (error) => log.error({ err: error }, 'the audit log can’t be written: requests are denied'),
    });
    const uses = new FileUseCounter(this.stateFile('uses.log'), clock);
    this.quarantine = keep?.({
      directory: this.stateFile('quarantine'),
      fileAt: this.fileAt,
      audit: this.audit,
      uses,
      identities: this.identities,
      clock,
      log,
    });
    this.points = new SidecarPoints({
      config: config.decisionPoints,
      fileAt: this.fileAt,
      stateDirectory: this.stateDirectory,
      clock,
      log,
    });
    this.telemetry = new SidecarTelemetry({
      config: config.telemetry,
      fileAt: this.fileAt,
      version: options.version,
      log,
      tap: options.logTap,
    });
    this.metrics = new SidecarMetrics({ config: config.metrics, clock, log, points: this.points });
    const sessions = new McpSessions(config.limits.mcpSessionIdle * 1000, clock);
    this.sessions = sessions;
    this.parts = makeParts({
      options,
      configs,
      source: this.source,
      link: sourced.link,
      identities: this.identities,
      audit: this.audit,
      uses,
      quarantine: this.quarantine,
      metrics: this.metrics,
      telemetry: this.telemetry,
      sessions,
      contexts,
      live,
      evidence,
      isDraining: () => this.drainage.isClosing,
      fileAt: this.fileAt,
    });
    this.doors = new Doors(this.parts);
    this.drainage = new Drain({
      live,
      doors: this.doors,
      limits: () => configs.current.limits,
      clock,
      log,
    });
    configs.beforeChange(this.points.prepare);
    configs.beforeChange(async (next) => this.doors.prepare(next));
    configs.onChange((now, before) => {
      this.audit.follow(paceIn(now));
      contexts.idleMs = now.limits.contextIdle * 1000;
      sessions.idleMs = now.limits.mcpSessionIdle * 1000;
      this.doors.follow(now);
      if (now.log.level !== before.log.level) log.level = now.log.level;
    });
    this.health = new Health(this.parts, {
      isLogWritable: () => this.audit.isWritable,
      isLeaving: () => this.drainage.isAsked,
    });
    this.admin = new Admin(
      this.parts,
      {
        peers: () => this.doors.peers,
        source: this.source,
        configuration: () => configs.state,
        faults: () => this.health.faults(),
        quarantine: this.quarantine,
        drain: (reason, hurried) => {
          if (hurried) this.drainage.hurry();
          void this.drain(reason);
        },
      },
      new AdminTokens(tokenFiles(config, this.fileAt), log),
    );
    // In files all is there already, and what is wrong with it is said before any port is open.
    if (this.identities.newest !== undefined) this.doors.make();
  }

  private onIdentity(identity: SidecarIdentity): void {
    const before = this.identities.newest;
    this.identities.take(identity);
    if (before === undefined || before.key.x === identity.key.x) return;
    if (this.options.config.trust.verifier === undefined) {
      // Another key in a file is a key that was lost, for all we know: what was granted to it ends.
      this.identities.keepNewest();
      return;
    }
    // Live tasks go on under the new key: what the old one can still sign for them, it signs now.
    const { rebinding, path } = this.parts;
    rebinding
      .prepareAll(() => Math.floor(path.clock.now() / 1000))
      .catch((error: unknown) => this.options.log.error({ err: error }, 'contexts could not be rebound'));
  }

  private listenMetrics(): Promise<string | undefined> {
    const { parts, doors, audit, sessions, quarantine, metrics, telemetry } = this;
    return metrics.listen(
      figureSources({
        version: this.options.version,
        parts,
        doors,
        audit,
        sessions,
        quarantine,
        metrics,
        telemetry,
        configuration: () => this.configs.state,
        isLeaving: () => this.drainage.isAsked,
      }),
    );
  }

  private stateFile(name: string): string {
    return resolve(this.stateDirectory, name);
  }

  /**
   * Opens the doors once there are trust and identity: with a verifier that may take until it answers, and only `/healthz`,
   * `/readyz` and the admin socket are there meanwhile. Undefined when it was stopped before.
   */
  async start(): Promise<SidecarAddresses | undefined> {
    const { log, config } = this.options;
    const operator = await this.admin.listen(this.stateFile(config.admin.socket));
    const isEarly = this.identities.newest === undefined;
    const early = isEarly ? await this.health.listen() : undefined;
    const metrics = await this.listenMetrics();
    if (!(await this.source.open()) || this.stopped) {
      this.stop('stopped before it had started');
      return undefined;
    }
    await this.points.start();
    await this.telemetry.start(this.identities.current.id);
    if (this.stopped) return undefined;
    this.isOpen = true;
    this.doors.make();
    await this.openLog();
    const { inbound, outbound } = await this.doors.listen(this.stateDirectory);
    const health = early ?? (await this.health.listen());
    this.watch();
    const { id, svidNotAfter, witExp } = this.identities.current;
    log.info(
      {
        id,
        inbound,
        outbound,
        health,
        metrics: metrics ?? 'off',
        ...operator,
        svidExpires: svidNotAfter,
        witExpires: witExp,
        bundle: this.source.trust.last.bundleName,
      },
      'sidecar started',
    );
    return { inbound, outbound, health, metrics, ...operator };
  }

  /** What is only read at the start, for whoever wants to know before it. Throws with a sentence about the file at fault. */
  async check(): Promise<void> {
    await this.points.open();
    await this.telemetry.check();
  }

  private async openLog(): Promise<void> {
    const { version } = this.options;
    const { bundleName, policy } = this.source.trust.last;
    this.audit.open();
    this.isLogOpen = true;
    await new Promise<void>((resolveStart, reject) => {
      this.audit.append(
        { kind: 'start', version, policy: policy.policy.revision, bundle: bundleName },
        (ok) => (ok ? resolveStart() : reject(new Error('the audit log can’t be written'))),
      );
    });
  }

  private watch(): void {
    this.source.start();
    this.reporter?.start();
    this.configs.watch();
    const { clock, log } = this.options;
    new PolicyNotices(() => this.configs.current, log).watch(this.source.trust, this.configs, clock);
    this.source.trust.onChange(() => this.sweep());
    const timer = setInterval(() => this.sweep(), SWEEP_MS);
    timer.unref();
    this.stops.push(() => clearInterval(timer));
  }

  /**
   * Looks for another configuration, other trust, policy and identity; what is bad is left as it was, and said. Trust is
   * looked at before it returns; resolves when the configuration is too.
   */
  reload(): Promise<void> {
    this.source.reload();
    return this.configs.reload();
  }

  /** Ends a start that still waits for trust or identity; one that has them goes on. */
  giveUp(): void {
    if (!this.isOpen) this.source.stop();
  }

  /** Who it is now. Throws before it has started. */
  get identity(): SidecarIdentity {
    return this.identities.current;
  }

  /** Where trust and identity come from. */
  get origin(): Source {
    return this.source;
  }

  /** Ends what time or revocation has ended: live hops, sessions, connections. */
  sweep(): void {
    const { live, clock } = this.parts.path;
    this.parts.taskEnds.sweep(Math.floor(clock.now() / 1000));
    this.quarantine?.sweep();
    const trust = this.source.trust.current();
    if (!trust.ok) {
      live.cutAll(trust.reason);
      return;
    }
    const now = Math.floor(clock.now() / 1000);
    live.sweep(trust.value, now);
    this.doors.sweep(trust.value, now);
  }

  /** Not ready, no new connections, streams end before the deadline, the log is signed and closed. */
  drain(reason: string): Promise<void> {
    this.draining ??= this.runDrain(reason);
    return this.draining;
  }

  /** Hears when a drain has ended, whoever asked for it. */
  onDrained(listener: () => void): void {
    this.drained.push(listener);
  }

  private async runDrain(reason: string): Promise<void> {
    await this.drainage.run(reason);
    this.stop(reason);
    await this.telemetry.close();
    for (const listener of this.drained) listener();
  }

  /** Ends at once: for tests, and for what drain leaves. */
  stop(reason: string): void {
    this.stopped = true;
    this.configs.stop();
    this.source.stop();
    this.reporter?.stop();
    this.parts.taskEnds.stop();
    this.parts.guard.agent.stop();
    this.points.stop();
    for (const stop of this.stops.splice(0)) stop();
    // While the log is open: what is cut here has its outcome in it. Asked, then told; and last words are not waited for.
    for (let turn = 0; turn < 3; turn++) this.parts.path.live.cutAll('draining');
    this.doors.destroy();
    this.health.close();
    this.metrics.stop();
    void this.telemetry.close();
    this.admin.close();
    if (this.isLogOpen) this.audit.close(reason);
  }
}
