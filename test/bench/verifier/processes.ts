/** The verifier and sidecars as the processes that they are in production, started from what ships; none outlives the bench. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { compileInto } from '../compiled.ts';

/** As the image and the systemd units start it. */
const SHIPPED = { MALLOC_MMAP_THRESHOLD_: '131072' } as const;

/** A line of diagnostics. */
type Line = Readonly<Record<string, unknown>>;

export class Running {
  readonly child: ChildProcess;
  private readonly name: string;
  private readonly listeners = new Set<(line: Line) => void>();
  private text = '';
  private readonly last: string[] = [];

  constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.child = child;
    child.stderr?.setEncoding('utf8');
    child.stderr?.on('data', (chunk: string) => this.take(chunk));
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  private take(chunk: string): void {
    const lines = (this.text + chunk).split('\n');
    this.text = lines.pop() ?? '';
    for (const line of lines) {
      this.last.push(line);
      if (this.last.length > 30) this.last.shift();
      if (!line.startsWith('{')) continue;
      const parsed = JSON.parse(line) as Line;
      for (const listener of [...this.listeners]) listener(parsed);
    }
  }

  /** Hears each line. Returns a stop. */
  hear(listener: (line: Line) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** The next line of diagnostics with this message; rejects when the process ends before. */
  says(message: string, fits: (line: Line) => boolean = () => true): Promise<Line> {
    return new Promise((resolve, reject) => {
      const onExit = (code: number | null): void =>
        reject(new Error(`${this.name} ended (${code}) without "${message}":\n${this.last.join('\n')}`));
      const stop = this.hear((line) => {
        if (line.msg !== message || !fits(line)) return;
        stop();
        this.child.off('exit', onExit);
        resolve(line);
      });
      this.child.once('exit', onExit);
    });
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, 'exit');
    this.child.kill('SIGTERM');
    const hurry = setTimeout(() => this.child.kill('SIGKILL'), 5000);
    await ended;
    clearTimeout(hurry);
  }
}

export class Processes {
  readonly directory = mkdtempSync(path.join(tmpdir(), 'hopgate-bench-'));
  private readonly main: string;
  private readonly running: Running[] = [];

  constructor() {
    this.main = compileInto(this.directory);
    process.once('exit', () => {
      for (const { child } of this.running) child.kill('SIGKILL');
      rmSync(this.directory, { recursive: true, force: true });
    });
    // A signal alone would end us without that.
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  }

  /** `hopgate …`; `nodeArgs` for Node itself. */
  start(name: string, args: readonly string[], nodeArgs: readonly string[] = []): Running {
    const more = process.env.BENCH_NODE_ARGS?.split(' ') ?? [];
    const all = [...more, ...nodeArgs, this.main, ...args];
    return this.keep(
      new Running(
        name,
        spawn(process.execPath, all, {
          stdio: ['ignore', 'ignore', 'pipe'],
          env: { ...process.env, ...SHIPPED },
        }),
      ),
    );
  }

  /** A module of the bench, with a channel to it. */
  fork(file: string): Running {
    return this.keep(new Running(file, fork(path.join(import.meta.dirname, file))));
  }

  private keep(running: Running): Running {
    this.running.push(running);
    return running;
  }

  /** Ends all that runs; what it has written stays. */
  async stopAll(): Promise<void> {
    await Promise.all(this.running.splice(0).map((one) => one.stop()));
  }

  async stop(): Promise<void> {
    await this.stopAll();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
