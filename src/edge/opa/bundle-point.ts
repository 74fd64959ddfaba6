/**
 * OPA's policies in this process: the bundle in force, and how the next one comes into force. A bundle that is refused is said, and
 * the last good one stays, in memory and on disk.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { LRUCache } from 'lru-cache';
import type { BundleConfig } from '../../config/decision-point-schema.ts';
import type { Clock, DecisionPoint, PointVerdict } from '../../ports.ts';
import { Breaker } from '../breaker.ts';
import { writeFilesAtomic } from '../store/atomic-file.ts';
import { watchFiles } from '../store/watched-files.ts';
import type { Logger } from '../telemetry/log.ts';
import { delay } from '../verifier/backoff.ts';
import { judgeResult, refuse } from './answer.ts';
import { type BundleRules, isRollback, type PolicyBundle, readBundle } from './bundle.ts';
import { BundleFault } from './bundle-fault.ts';
import { readSigningKey, type SignaturePolicy } from './bundle-signature.ts';
import { type BundleSource, FileBundleSource, HttpBundleSource } from './bundle-source.ts';
import { callerOf, MOST_CALLERS } from './caller.ts';

/**
 * What breaks off has to be set up anew, with all its data: who makes it break off so many times in a row waits for so long. A
 * caller alone, since nothing is wrong with what others ask.
 */
const BROKEN_OFF = { failures: 5, coolDownMs: 5000 } as const;
/** So long a start waits for the first bundle. */
const FIRST_WAIT_MS = 5000;

export interface BundlePointOptions {
  readonly name: string;
  readonly config: BundleConfig;
  readonly log: Logger;
  readonly clock: Clock;
  /** Where the last good bundle is kept. */
  readonly directory: string;
}

export interface BundlePointState {
  readonly kind: 'bundle';
  /** Undefined while there is no bundle. */
  readonly revision: string | undefined;
  /** Why the last one was not taken, or not to be had; undefined when all is well. */
  readonly fault: string | undefined;
}

export class BundlePoint implements DecisionPoint {
  private readonly options: BundlePointOptions;
  private readonly source: BundleSource;
  private readonly keptFile: string;
  private signature: SignaturePolicy | undefined;
  private bundle: PolicyBundle | undefined;
  /** SHA-256 of what is in force, by the key in force. */
  private digest = '';
  private fault: string | undefined;
  private readonly callers = new LRUCache<string, Breaker>({ max: MOST_CALLERS });
  private readonly stopping = new AbortController();
  private stopWatching: () => void = () => {};

  /** Brings nothing. Throws on CA and key files that can't be read. */
  constructor(options: BundlePointOptions) {
    this.options = options;
    const { url, file } = options.config;
    this.source =
      url === undefined ? new FileBundleSource(file ?? '') : new HttpBundleSource({ ...options.config, url });
    this.readKey();
    this.keptFile = path.join(options.directory, `${options.name}.bundle.tar.gz`);
  }

  get state(): BundlePointState {
    return { kind: 'bundle', revision: this.bundle?.revision, fault: this.fault };
  }

  /** Resolves with the last good bundle or the first new one in force, when neither is to be had, or after five seconds. */
  async start(): Promise<void> {
    const { config, log, name } = this.options;
    const { publicKeyFile } = config;
    mkdirSync(this.options.directory, { recursive: true, mode: 0o700 });
    if (publicKeyFile !== undefined) {
      this.stopWatching = watchFiles([publicKeyFile], () => {
        try {
          this.readKey();
        } catch (error) {
          log.error(
            { point: name, error: messageOf(error) },
            'the key of the bundle can’t be read; the last one stays',
          );
          return;
        }
        this.source.again();
      });
    }
    await this.restore();
    const first = this.source.start(
      (octets) => this.take(octets),
      (error) => {
        if (error === undefined) this.fault = undefined;
        else this.say(`it can’t be had: ${messageOf(error)}`);
      },
    );
    // With a bundle in force nobody has to wait for the server, and without one not for ever.
    if (this.bundle === undefined) await Promise.race([first, delay(FIRST_WAIT_MS, this.stopping.signal)]);
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    this.stopWatching();
    await this.source.stop();
  }

  decide(path: string, input: Readonly<Record<string, unknown>>): PointVerdict {
    const { name } = this.options;
    const { bundle } = this;
    if (bundle === undefined) return refuse('opa_unavailable', `${name} has no bundle yet`);
    const note = { decisionId: '', revision: bundle.revision };
    const policy = bundle.entrypoints.get(path);
    if (policy === undefined)
      return refuse('opa_undefined', `the bundle of ${name} has no such entrypoint`, note);
    const attempt = this.breakerOf(callerOf(input)).begin();
    if (attempt === undefined)
      return refuse(
        'opa_unavailable',
        `${name} is not asked for some time by a caller whose questions break it off`,
        note,
      );
    const evaluated = policy.evaluate(path, input);
    attempt(evaluated.kind === 'result' ? 'answered' : 'failed');
    switch (evaluated.kind) {
      case 'result':
        return judgeResult(evaluated.result, bundle.revision);
      case 'exhausted':
        return refuse('opa_timeout', `${name} took more steps than it may`, note);
      case 'failed':
        return refuse('opa_result', `the policy of ${name} failed`, note);
    }
  }

  private breakerOf(caller: string): Breaker {
    const known = this.callers.get(caller);
    if (known !== undefined) return known;
    const breaker = new Breaker(BROKEN_OFF, this.options.clock);
    this.callers.set(caller, breaker);
    return breaker;
  }

  private get rules(): BundleRules {
    const { maxBytes, memory, maxSteps } = this.options.config;
    return { maxBytes, memoryBytes: memory, maxSteps, signature: this.signature };
  }

  private readKey(): void {
    const { publicKeyFile, keyId, scope } = this.options.config;
    if (publicKeyFile === undefined) return;
    this.signature = { key: readSigningKey(publicKeyFile), keyId, scope };
    this.digest = '';
  }

  /** What was kept is believed no more than what comes: it is verified again. */
  private async restore(): Promise<void> {
    const { log, name } = this.options;
    try {
      const octets = readFileSync(this.keptFile);
      this.bundle = await readBundle(octets, this.rules);
      this.digest = createHash('sha256').update(octets).digest('hex');
      log.info({ point: name, revision: this.bundle.revision }, 'the last good bundle is in force');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        log.warn({ point: name, error: messageOf(error) }, 'the kept bundle can’t be used');
    }
  }

  private async take(octets: Buffer): Promise<boolean> {
    const { log, name } = this.options;
    const digest = createHash('sha256').update(octets).digest('hex');
    if (digest === this.digest) {
      this.fault = undefined;
      return true;
    }
    try {
      const next = await readBundle(octets, this.rules);
      if (this.bundle !== undefined && isRollback(next, this.bundle))
        throw new BundleFault(`its revision ${next.revision} is older than ${this.bundle.revision}`);
      // In force first, on disk after: a full disk keeps no policy from taking effect.
      this.bundle = next;
      this.digest = digest;
    } catch (error) {
      this.say(`it is refused: ${messageOf(error)}`);
      return false;
    }
    this.fault = undefined;
    log.info({ point: name, revision: this.bundle.revision }, 'a bundle is in force');
    try {
      writeFilesAtomic([{ file: this.keptFile, content: octets }]);
    } catch (error) {
      log.error({ point: name, error: messageOf(error) }, 'the bundle can’t be kept on disk');
    }
    return true;
  }

  /** Once for each fault, not for each poll. */
  private say(fault: string): void {
    if (fault === this.fault) return;
    this.fault = fault;
    const { log, name } = this.options;
    log.error({ point: name, bundle: fault, inForce: this.bundle?.revision ?? null }, 'no new bundle');
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
