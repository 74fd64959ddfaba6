/** Requests at a steady pace, over connections that are kept: what became of each. */
import { Agent } from 'node:http';
import { type Answer, type MeshAgent, send } from './mesh.ts';

const EVERY_MS = 10;
/** A machine that can't keep the pace gets what it can take, and no queue without end. */
const MOST_UNDER_WAY = 64;

export interface LoadCounts {
  readonly sent: number;
  readonly answered: number;
  /** Answered, on the whole. */
  readonly perSecond: number;
  /** Those that were not 200, by reason code or error. */
  readonly failures: ReadonlyMap<string, number>;
}

export class SteadyLoad {
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 64 });
  private readonly timer: NodeJS.Timeout;
  private readonly underWay = new Set<Promise<void>>();
  private readonly failures = new Map<string, number>();
  private readonly waiting: { readonly at: number; readonly resolve: () => void }[] = [];
  private readonly began = performance.now();
  private sent = 0;
  private answered = 0;

  /** Through the outbound door of `from`, `perSecond` times a second, however long answers take. */
  constructor(from: MeshAgent, context: string, url: string, perSecond: number) {
    const proxy = new URL(from.proxyUrl);
    const authorization = `Basic ${Buffer.from(`${proxy.username}:${proxy.password}`).toString('base64')}`;
    const ask = (): Promise<Answer> =>
      send({
        host: proxy.hostname,
        port: Number(proxy.port),
        path: url,
        agent: this.agent,
        headers: {
          host: new URL(url).host,
          'proxy-authorization': authorization,
          'hopgate-context': context,
        },
      });
    let last = this.began;
    let due = 0;
    this.timer = setInterval(() => {
      const now = performance.now();
      due = Math.min(due + ((now - last) / 1000) * perSecond, perSecond / 10);
      last = now;
      for (; due >= 1 && this.underWay.size < MOST_UNDER_WAY; due--) {
        this.sent++;
        const one = ask().then(
          ({ status, code }) => this.hear(status === 200 ? undefined : (code ?? String(status))),
          (error: NodeJS.ErrnoException) => this.hear(error.code ?? error.message),
        );
        this.underWay.add(one);
        void one.then(() => this.underWay.delete(one));
      }
    }, EVERY_MS);
  }

  private hear(failure: string | undefined): void {
    this.answered++;
    if (failure !== undefined) this.failures.set(failure, (this.failures.get(failure) ?? 0) + 1);
    for (const { at, resolve } of this.waiting) if (this.answered >= at) resolve();
  }

  /** Resolves when so many more were answered. */
  more(count: number): Promise<void> {
    return new Promise((resolve) => this.waiting.push({ at: this.answered + count, resolve }));
  }

  get counts(): LoadCounts {
    const { sent, answered, failures } = this;
    const seconds = (performance.now() - this.began) / 1000;
    return { sent, answered, failures, perSecond: Math.round(answered / seconds) };
  }

  /** Sends no more; resolves when all are answered. */
  async stop(): Promise<LoadCounts> {
    clearInterval(this.timer);
    await Promise.all(this.underWay);
    this.agent.destroy();
    return this.counts;
  }
}
