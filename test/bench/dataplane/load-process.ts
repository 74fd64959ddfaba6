/** The load (`load.c`), driven from here: it connects and counts, this process speaks the handshake for it. */
import { type ChildProcess, execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { grant } from '../../../src/core/verdict.ts';
import type { FrameChannel } from '../../../src/ports.ts';
import type { BenchWorld } from '../world.ts';

/** `plain` TCP, `tls` with a client certificate, or that with Hopgate's handshake on it. */
export type Mode = 'plain' | 'tls' | 'frames';

export interface LoadResult {
  readonly responses: number;
  /** Responses other than 200. */
  readonly odd: number;
  readonly seconds: number;
  /** CPU of the load itself, seconds. */
  readonly cpu: number;
  /** Microseconds. */
  readonly p50: number;
  readonly p99: number;
  /** From the start of the load to the first odd response; -1: none. */
  readonly oddAfterMicros: number;
  /** Whether any request was allowed that was sent after an odd response had come. */
  readonly okSentAfterOdd: boolean;
}

export interface Odd {
  readonly status: number;
  readonly text: string;
}

/** Connections that are opened at once: more would only queue. */
const PARALLEL = 16;

/** As in `load.c`. */
const MAX_GROUPS = 256;

export class LoadProcess {
  private readonly child: ChildProcess;
  private readonly world: BenchWorld;
  private readonly waiting = new Map<string, (rest: string) => void>();
  private readonly frames = new Map<string, (frame: Buffer) => void>();
  private groups = 0;
  private ended: Error | undefined;
  private fail: (error: Error) => void = () => undefined;

  constructor(world: BenchWorld, program: string, core: number) {
    this.world = world;
    const at = (name: string): string => path.join(world.directory, name);
    writeFileSync(at('load.pem'), world.caller.svidPem);
    writeFileSync(at('load.key'), world.caller.svidKeyPem, { mode: 0o600 });
    this.child = world.run(
      core,
      [program, at('load.pem'), at('load.key'), at('ca.pem')],
      ['pipe', 'pipe', 'inherit'],
    );
    this.child.once('exit', (code) => {
      this.ended = new Error(`the load ended with ${code}`);
      this.fail(this.ended);
    });
    createInterface({ input: this.child.stdout as NodeJS.ReadableStream }).on('line', (line) =>
      this.onLine(line),
    );
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  private say(line: string): void {
    this.child.stdin?.write(`${line}\n`);
  }

  private onLine(line: string): void {
    const [word = '', name = '', ...rest] = line.split(' ');
    if (word === 'hello') this.shake(name, rest);
    else if (word === 'frame') this.frames.get(name)?.(Buffer.from(rest[0] ?? '', 'hex'));
    else if (word === 'result') this.settle('result', line.slice('result '.length));
    else this.settle(word === 'odd' ? word : `${word} ${name}`, rest.join(' '));
  }

  private settle(event: string, rest: string): void {
    const resolve = this.waiting.get(event);
    this.waiting.delete(event);
    resolve?.(rest);
  }

  private wait(event: string): Promise<string> {
    return new Promise((resolve, reject) => {
      if (this.ended !== undefined) reject(this.ended);
      this.fail = reject;
      this.waiting.set(event, resolve);
    });
  }

  private shake(name: string, [exporter = '', certificate = '']: readonly string[]): void {
    const arrived: Buffer[] = [];
    let wake: (() => void) | undefined;
    this.frames.set(name, (frame) => {
      arrived.push(frame);
      wake?.();
    });
    const channel: FrameChannel = {
      read: async () => {
        if (arrived.length === 0)
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        return grant(arrived.shift() as Buffer);
      },
      write: async (octets) => this.say(`send ${name} ${octets.toString('hex')}`),
    };
    const leaf = new X509Certificate(Buffer.from(certificate, 'hex'));
    this.world.proveTo(leaf, Buffer.from(exporter, 'hex'), channel).then(
      () => {
        this.frames.delete(name);
        this.say(`ready ${name}`);
      },
      (error: Error) => this.fail(error),
    );
  }

  end(): void {
    this.child.kill();
  }

  /** Opens connections and keeps them; resolves to the name of the group. */
  async open(port: number, count: number, mode: Mode): Promise<number> {
    const group = this.groups++ % MAX_GROUPS;
    const opened = this.wait(`opened ${group}`);
    this.say(`open ${group} ${port} ${count} ${PARALLEL} ${mode}`);
    await opened;
    return group;
  }

  /** One request under way on each connection of a group; `perSecond` 0: as fast as answers come. */
  async load(group: number, milliseconds: number, perSecond: number, request: string): Promise<LoadResult> {
    const result = this.wait('result');
    this.say(`load ${group} ${milliseconds} ${perSecond} ${request}`);
    return JSON.parse(await result) as LoadResult;
  }

  /** The first response of a load that is no 200, as soon as it comes. */
  async odd(): Promise<Odd> {
    const [status = '', hex = ''] = (await this.wait('odd')).split(' ');
    return { status: Number(status), text: Buffer.from(hex, 'hex').toString() };
  }

  async close(group: number): Promise<void> {
    const closed = this.wait(`closed ${group}`);
    this.say(`close ${group}`);
    await closed;
  }
}

/** Whether the machine lets us have so many files open. */
export const openFiles = (): number =>
  Number(
    execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).trim().replace('unlimited', '1000000'),
  );
