/**
 * The configuration that is in force, replaced as a whole when its file says something else and all of it can be had: never half
 * of it. What only a restart can change refuses the whole file; what is refused leaves the last good one, and is said.
 */
import { ConfigError, formatFault, formatPath } from '../config/load.ts';
import { changedFields, isLive, keepSame } from '../config/reload.ts';
import type { SidecarConfig } from '../config/sidecar-schema.ts';
import { watchFiles } from '../edge/store/watched-files.ts';
import type { Logger } from '../edge/telemetry/log.ts';
import type { Clock } from '../ports.ts';
import { type ReadConfig, readConfigFile } from './config-file.ts';

/** For people. Times in seconds. */
export interface ConfigState {
  readonly file: string;
  /** base64url SHA-256 of the text that is in force. */
  readonly digest: string;
  readonly loadedAt: number;
  /** The last reload, where it was refused: the file now says something that is not in force. */
  readonly refused?: { readonly at: number; readonly why: readonly string[] } | undefined;
}

/** Something that has to be made ready for another configuration, and can fail at it. */
export type Prepare = (
  next: SidecarConfig,
  before: SidecarConfig,
) => Promise<{ readonly commit: () => void; readonly abort: () => void } | undefined>;

/** Hears of another configuration once it is in force. Must not throw. */
export type Follow = (now: SidecarConfig, before: SidecarConfig) => void;

export interface ConfigInForceOptions {
  readonly file: string;
  readonly config: SidecarConfig;
  readonly digest: string;
  readonly clock: Clock;
  readonly log: Logger;
}

export class ConfigInForce {
  private readonly options: ConfigInForceOptions;
  private readonly prepares: Prepare[] = [];
  private readonly follows: Follow[] = [];
  private config: SidecarConfig;
  private digest: string;
  private loadedAt: number;
  private refused: ConfigState['refused'];
  private reloading: Promise<void> = Promise.resolve();
  private stopWatching = (): void => undefined;

  constructor(options: ConfigInForceOptions) {
    this.options = options;
    this.config = options.config;
    this.digest = options.digest;
    this.loadedAt = this.now();
  }

  private now(): number {
    return Math.floor(this.options.clock.now() / 1000);
  }

  get current(): SidecarConfig {
    return this.config;
  }

  get state(): ConfigState {
    const { digest, loadedAt, refused } = this;
    return { file: this.options.file, digest, loadedAt, ...(refused && { refused }) };
  }

  beforeChange(prepare: Prepare): void {
    this.prepares.push(prepare);
  }

  onChange(follow: Follow): void {
    this.follows.push(follow);
  }

  watch(): void {
    // An editor may be in the middle of it: what has just changed is read when it has stood still.
    this.stopWatching = watchFiles([this.options.file], () => void this.reload(), { settled: true });
  }

  stop(): void {
    this.stopWatching();
  }

  /** Resolves when it is done, whatever came of it; one after the other. */
  reload(): Promise<void> {
    this.reloading = this.reloading.then(() => this.readAgain());
    return this.reloading;
  }

  private async readAgain(): Promise<void> {
    const { file, log } = this.options;
    try {
      const read = readConfigFile(file);
      if (read.digest === this.digest) {
        if (this.refused !== undefined)
          log.info({ file }, 'the configuration file is the one in force again');
        this.refused = undefined;
      } else await this.replace(read);
    } catch (error) {
      this.refuse(error as Error);
    }
  }

  private async replace({ source, digest }: ReadConfig): Promise<void> {
    const before = this.config;
    const next = keepSame(before, source.value);
    const changed = changedFields(before, next);
    const fixed = changed.filter((path) => !isLive(path));
    if (fixed.length > 0)
      throw new ConfigError(fixed.map((path) => source.fault(path, 'needs a restart to change')));
    const commits = await this.prepareAll(next, before);
    this.config = next;
    this.digest = digest;
    this.loadedAt = this.now();
    this.refused = undefined;
    for (const commit of commits) this.carryOn(commit);
    for (const follow of this.follows) this.carryOn(() => follow(next, before));
    this.options.log.info({ config: digest, changed: changed.map(formatPath) }, 'configuration reloaded');
  }

  /** All of them, or none. */
  private async prepareAll(next: SidecarConfig, before: SidecarConfig): Promise<(() => void)[]> {
    const ready = await Promise.allSettled(this.prepares.map((prepare) => prepare(next, before)));
    const failed = ready.find((one) => one.status === 'rejected');
    const made = ready.flatMap((one) =>
      one.status === 'fulfilled' && one.value !== undefined ? [one.value] : [],
    );
    if (failed === undefined) return made.map(({ commit }) => commit);
    for (const { abort } of made) this.carryOn(abort);
    throw failed.reason;
  }

  /** A bug in one that follows leaves the others in step. */
  private carryOn(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.options.log.error({ err: error }, 'a part did not follow the new configuration');
    }
  }

  private refuse(error: Error): void {
    const { file, log } = this.options;
    const { code, path } = error as NodeJS.ErrnoException;
    const said = code !== undefined && path === file ? `${file}: can’t be read (${code})` : error.message;
    const why = error instanceof ConfigError ? error.faults.map(formatFault) : [said];
    this.refused = { at: this.now(), why };
    log.error(
      { file, faults: why, config: this.digest },
      'reload of the configuration refused; the last good one is kept',
    );
  }
}
