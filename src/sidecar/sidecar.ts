/** One sidecar, put together: building reads and checks everything, start opens the doors, drain closes them in order. */
import { mkdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parsePolicy } from '../config/policy.ts';
import type { SidecarConfig } from '../config/sidecar-schema.ts';
import { AuditLog } from '../edge/store/audit-log.ts';
import { loadIdentity, type SidecarIdentity } from '../edge/store/identity-files.ts';
import { TrustFiles } from '../edge/store/trust-files.ts';
import { FileUseCounter } from '../edge/store/use-counter.ts';
import { watchFiles } from '../edge/store/watched-files.ts';
import type { Logger } from '../edge/telemetry/log.ts';
import { LiveHops } from '../hop/forward.ts';
import { ChainVerifier } from '../hop/verify-chain.ts';
import type { ApprovalPort, Clock } from '../ports.ts';
import { Admin, isSocketAlive } from './admin.ts';
import { Contexts } from './contexts.ts';
import { Health } from './health.ts';
import { Inbound } from './inbound.ts';
import { Outbound } from './outbound.ts';
import type { Parts } from './parts.ts';

const SWEEP_MS = 1000;

export interface SidecarOptions {
  readonly config: SidecarConfig;
  /** The file that the configuration came from: names in it are relative to this. */
  readonly configFile: string;
  readonly version: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Where humans approve requests, if there is a verifier. */
  readonly approvals?: ApprovalPort | undefined;
}

/** What a started sidecar listens on. */
export interface SidecarAddresses {
  readonly inbound: { readonly host: string; readonly port: number } | undefined;
  readonly outbound: string | undefined;
  readonly health: { readonly host: string; readonly port: number };
  readonly admin: string;
}

export class Sidecar {
  private readonly options: SidecarOptions;
  private readonly stateDirectory: string;
  private readonly trust: TrustFiles;
  private readonly audit: AuditLog;
  private readonly parts: Parts;
  private readonly inbound: Inbound | undefined;
  private readonly outbound: Outbound | undefined;
  private readonly health: Health;
  private readonly admin: Admin;
  private readonly stops: (() => void)[] = [];
  private readonly drained: (() => void)[] = [];
  private identity: SidecarIdentity;
  private draining: Promise<void> | undefined;

  /** Throws with a sentence about the file at fault. Opens no port. */
  constructor(options: SidecarOptions) {
    this.options = options;
    const { config, clock, log } = options;
    this.stateDirectory = this.fileAt(config.stateDirectory);
    mkdirSync(this.stateDirectory, { recursive: true, mode: 0o700 });
    this.trust = new TrustFiles({
      files: {
        bundle: this.fileAt(config.trust.bundle),
        policy: this.fileAt(config.policy),
        order: this.stateFile('bundle-order.json'),
      },
      trustDomain: config.trust.trustDomain,
      root: config.trust.root,
      clock,
      parsePolicy,
    });
    this.identity = this.readIdentity();
    this.audit = new AuditLog({
      file: this.stateFile(config.audit.file),
      durability: config.audit.durability,
      checkpointRecords: config.audit.checkpointRecords,
      checkpointIntervalMs: config.audit.checkpointInterval * 1000,
      refusalIntervalMs: config.audit.refusalInterval * 1000,
      refusalSources: config.audit.refusalSources,
      signer: () => this.identity.audit,
      clock,
      onFailure: (error) => log.error({ err: error }, 'the audit log can’t be written: requests are denied'),
    });
    this.parts = {
      config,
      log,
      trust: this.trust,
      contexts: new Contexts(config.limits.contexts, config.limits.contextIdle * 1000, clock),
      path: {
        clock,
        trust: this.trust,
        audit: this.audit,
        chains: new ChainVerifier(),
        uses: new FileUseCounter(this.stateFile('uses.log')),
        live: new LiveHops(),
        approvals: options.approvals,
      },
      identity: () => this.identity,
      isDraining: () => this.draining !== undefined,
    };
    this.inbound = config.inbound === undefined ? undefined : new Inbound(this.parts);
    this.outbound = config.outbound === undefined ? undefined : new Outbound(this.parts);
    this.health = new Health(this.parts, () => this.audit.isWritable);
    this.admin = new Admin(this.parts, {
      inboundPeers: () => this.inbound?.peers ?? [],
      outboundPeers: () => this.outbound?.peers.sessions ?? [],
      drain: () => void this.drain('asked by the operator'),
      faults: () => this.health.faults(),
    });
  }

  private fileAt(name: string): string {
    return resolve(dirname(this.options.configFile), name);
  }

  private stateFile(name: string): string {
    return resolve(this.stateDirectory, name);
  }

  private identityFiles() {
    const { svid, svidKey, agentKey, auditKey, wit, keyBinding } = this.options.config.identity;
    const at = (name: string): string => this.fileAt(name);
    return {
      svid: at(svid),
      svidKey: at(svidKey),
      agentKey: at(agentKey),
      auditKey: at(auditKey),
      wit: at(wit),
      keyBinding: at(keyBinding),
    };
  }

  private readIdentity(): SidecarIdentity {
    return loadIdentity(
      this.identityFiles(),
      this.trust.last.bundle,
      Math.floor(this.options.clock.now() / 1000),
    );
  }

  async start(): Promise<SidecarAddresses> {
    const { version, log, config } = this.options;
    const { bundleName, policy } = this.trust.last;
    const admin = this.stateFile(config.admin.socket);
    if (await isSocketAlive(admin))
      throw new Error(`${admin}: another sidecar runs with this state directory; two would break its log`);
    this.audit.open();
    await new Promise<void>((resolveStart, reject) => {
      this.audit.append(
        { kind: 'start', version, policy: policy.policy.revision, bundle: bundleName },
        (ok) => (ok ? resolveStart() : reject(new Error('the audit log can’t be written'))),
      );
    });
    await this.admin.listen(admin);
    const outbound = await this.outbound?.listen(this.stateDirectory);
    const inbound = await this.inbound?.listen();
    const health = await this.health.listen();
    this.watch();
    const { id, svidNotAfter, witExp } = this.identity;
    log.info(
      {
        id,
        inbound,
        outbound,
        health,
        admin,
        svidExpires: svidNotAfter,
        witExpires: witExp,
        bundle: bundleName,
      },
      'sidecar started',
    );
    return { inbound, outbound, health, admin };
  }

  private watch(): void {
    const identity = this.identityFiles();
    const files = [
      ...Object.values(identity),
      this.fileAt(this.options.config.trust.bundle),
      this.fileAt(this.options.config.policy),
    ];
    this.stops.push(watchFiles(files, () => this.reload()));
    this.trust.onChange(() => this.sweep());
    const timer = setInterval(() => this.sweep(), SWEEP_MS);
    timer.unref();
    this.stops.push(() => clearInterval(timer));
  }

  /** Reads trust, policy and identity again; what is bad is left as it was, and said. */
  reload(): void {
    const { log } = this.options;
    for (const fault of this.trust.reload())
      log.error({ fault }, 'reload refused; the last good one is kept');
    try {
      const identity = this.readIdentity();
      const { id, wit, certificate, kb } = this.identity;
      // The log is this agent's: another one starts another sidecar.
      if (identity.id !== id) throw new Error(`the files now name ${identity.id}, this sidecar is ${id}`);
      if (identity.wit !== wit || identity.certificate !== certificate || identity.kb.sig !== kb.sig) {
        this.identity = identity;
        log.info(
          { id: identity.id, svidExpires: identity.svidNotAfter, witExpires: identity.witExp },
          'identity renewed',
        );
      }
    } catch (error) {
      log.error({ fault: (error as Error).message }, 'reload refused; the last good identity is kept');
    }
    // Also when the identity stayed: the bundle's CAs may be others.
    this.inbound?.renew();
    this.outbound?.peers.renew();
    const { bundleName, policy } = this.trust.last;
    log.info({ policy: policy.policy.revision, bundle: bundleName }, 'reloaded');
  }

  /** Ends what time or revocation has ended: live hops, sessions, connections. */
  sweep(): void {
    const { live, clock } = this.parts.path;
    const trust = this.trust.current();
    if (!trust.ok) {
      live.cutAll(trust.reason);
      return;
    }
    const now = Math.floor(clock.now() / 1000);
    live.sweep(trust.value, now);
    this.inbound?.sweep(trust.value, now);
    this.outbound?.peers.sweep(trust.value, now);
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
    const { log, config } = this.options;
    const { live } = this.parts.path;
    log.info({ reason, live: live.size }, 'draining');
    this.inbound?.stopListening();
    const deadline = this.parts.path.clock.monotonic() + config.limits.drainTimeout * 1000;
    while (live.size > 0 && this.parts.path.clock.monotonic() < deadline) {
      await new Promise((next) => setTimeout(next, 50));
    }
    this.stop(reason);
    for (const listener of this.drained) listener();
  }

  /** Ends at once: for tests, and for what drain leaves. */
  stop(reason: string): void {
    for (const stop of this.stops.splice(0)) stop();
    // While the log is open: what is cut here has its outcome in it.
    this.parts.path.live.cutAll('draining');
    this.inbound?.destroy();
    this.outbound?.destroy();
    this.health.close();
    this.admin.close();
    this.audit.close(reason);
  }
}
