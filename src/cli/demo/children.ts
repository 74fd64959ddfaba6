/** The processes of the demo: started, given orders, and ended with it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import type { Server } from 'node:net';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import type { Order, Report } from './messages.ts';
import { END_WITH_PARENT } from './programs.ts';

const GRACE_MS = 10_000;
const ORDER_TIMEOUT_MS = 60_000;
const SHOWN_LINES = 5;

export interface ChildOptions {
  readonly name: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Where its stdout and stderr go. */
  readonly logFile: string;
  /** Hears each line of stderr. */
  readonly onLine?: (line: string) => void;
  readonly onActed?: (count: number) => void;
}

const PROXY_VARIABLE = /^(?:https?|all|no)_proxy$/i;

/** The environment that the demo was started in, less what would lead its agents elsewhere. */
const cleanEnvironment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !PROXY_VARIABLE.test(name) && name !== 'NODE_OPTIONS'),
  );

/** One process of ours. */
export class Child {
  readonly name: string;
  private readonly options: ChildOptions;
  private readonly child: ChildProcess;
  private readonly pending = new Map<
    number,
    { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void }
  >();
  /** The last lines that it wrote. */
  private readonly said: string[] = [];
  private orders = 0;
  /** Rejects when the process ends, whenever that is; never resolves. */
  readonly failed: Promise<never>;

  constructor(options: ChildOptions) {
    this.options = options;
    this.name = options.name;
    const log = createWriteStream(options.logFile, { mode: 0o600 });
    this.child = spawn(process.execPath, ['--import', pathToFileURL(END_WITH_PARENT).href, ...options.args], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...cleanEnvironment(), ...options.env },
      // A group of its own: Ctrl-C reaches the demo alone, which ends the others in order.
      detached: true,
    });
    const onLine = (line: string): void => {
      log.write(`${line}\n`);
      this.said.push(line);
      this.said.splice(0, this.said.length - SHOWN_LINES);
      options.onLine?.(line);
    };
    for (const input of [this.child.stdout, this.child.stderr])
      if (input !== null) createInterface({ input }).on('line', onLine);
    this.child.on('message', (report: Report) => this.onReport(report));
    this.failed = new Promise<never>((_, reject) => {
      this.child.once('error', (error) => reject(new Error(`${this.name} did not start: ${error.message}`)));
      this.child.once('close', (code, signal) => {
        log.end();
        reject(new Error([`${this.name} ended (${signal ?? code})`, ...this.said].join('\n')));
      });
    });
    // Who doesn't wait for it hears of it through an order that fails.
    this.failed.catch((error: Error) => this.rejectAll(error));
  }

  get isRunning(): boolean {
    return this.child.pid !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  private rejectAll(error: Error): void {
    for (const { reject } of this.pending.values()) reject(error);
    this.pending.clear();
  }

  private onReport(report: Report): void {
    if ('acted' in report) {
      this.options.onActed?.(report.acted);
      return;
    }
    const waiting = this.pending.get(report.id);
    this.pending.delete(report.id);
    if ('fault' in report) waiting?.reject(new Error(`${this.name}: ${report.fault}`));
    else waiting?.resolve(report.result);
  }

  /** Gives an order and waits for its end. Throws what went wrong there. */
  order<T>(order: string, args: Order['args'] = {}, handle?: Server): Promise<T> {
    const id = ++this.orders;
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.pending.set(id, { resolve: resolve as (value: unknown) => void, reject });
    const timer = setTimeout(
      () => reject(new Error(`${this.name} did not finish "${order}" in ${ORDER_TIMEOUT_MS / 1000} s`)),
      ORDER_TIMEOUT_MS,
    );
    this.child.send({ id, order, args } satisfies Order, handle, (error) => {
      if (error !== null) reject(new Error(`${this.name} can't be told: ${error.message}`));
    });
    return promise.finally(() => clearTimeout(timer));
  }

  /** SIGTERM, and SIGKILL for who doesn't end. Whether it ended by itself with code 0. */
  async stop(): Promise<boolean> {
    if (!this.isRunning) return this.child.exitCode === 0;
    const timer = setTimeout(() => this.kill(), GRACE_MS);
    const exit = once(this.child, 'exit');
    this.child.kill('SIGTERM');
    await exit;
    clearTimeout(timer);
    return this.child.exitCode === 0;
  }

  kill(): void {
    if (this.isRunning) this.child.kill('SIGKILL');
  }
}

/** All of them, so that none is forgotten. */
export class Children {
  private readonly all: Child[] = [];
  private over = false;

  /** Throws once they are being ended: nothing may start behind that. */
  start(options: ChildOptions): Child {
    if (this.over) throw new Error('the demo is over');
    const child = new Child(options);
    this.all.push(child);
    return child;
  }

  async stop(): Promise<void> {
    this.over = true;
    await Promise.all(this.all.map((child) => child.stop()));
  }

  kill(): void {
    this.over = true;
    for (const child of this.all) child.kill();
  }
}
