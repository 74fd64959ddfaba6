/** Where bundles come from: a server that speaks OPA's bundle protocol, or a file. They are only brought; others decide. */
import { readFile } from 'node:fs/promises';
import type { BundleConfig } from '../../config/decision-point-schema.ts';
import { request } from '../http/undici.ts';
import { watchFiles } from '../store/watched-files.ts';
import { delay, jittered } from '../verifier/backoff.ts';
import { openService, readCa, readToken, type Service } from './service-pool.ts';

/** Takes a bundle, or not; false when it was refused. Never rejects. */
export type TakeBundle = (octets: Buffer) => Promise<boolean>;
/** Hears why nothing could be brought; undefined: there is nothing new, and nothing wrong. */
export type OnFault = (error: unknown) => void;

export interface BundleSource {
  /** Brings one at once, and then whatever is new. Resolves when the first was taken, was refused or could not be had. */
  start(take: TakeBundle, onFault: OnFault): Promise<void>;
  /** Brings it again, new or not. */
  again(): void;
  stop(): Promise<void>;
}

const CONNECT_MS = 5000;
const ANSWER_MS = 60_000;
/** A server may need a moment more than it was given. */
const LONG_POLL_GRACE_MS = 10_000;
const LEAST_PAUSE_MS = 1000;
/** What says that a server can wait (OPA's documentation, "HTTP Long Polling"). */
const LONG_POLL_TYPE = 'application/vnd.openpolicyagent.bundles';

class SourceFault extends Error {}

export class HttpBundleSource implements BundleSource {
  private readonly config: BundleConfig & { readonly url: string };
  private readonly service: Service;
  private readonly stopping = new AbortController();
  private waking = new AbortController();
  private isWoken = false;
  /** Of the bundle that was taken last. */
  private etag: string | undefined;
  private serverWaits = false;

  /** Throws on a CA file that can't be read. */
  constructor(config: BundleConfig & { readonly url: string }) {
    this.config = config;
    const { url, caFile } = config;
    this.service = openService({ url, ca: readCa(caFile), connections: 1, connectMs: CONNECT_MS });
  }

  async start(take: TakeBundle, onFault: OnFault): Promise<void> {
    await this.once(take, onFault);
    void this.follow(take, onFault);
  }

  again(): void {
    this.etag = undefined;
    this.isWoken = true;
    this.waking.abort();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.service.pool.destroy();
  }

  private async follow(take: TakeBundle, onFault: OnFault): Promise<void> {
    let waits = this.serverWaits;
    while (!this.stopping.signal.aborted) {
      if (this.isWoken) this.isWoken = false;
      else {
        const pollMs = this.config.pollInterval * 1000;
        // A server that answers a long poll at once, again and again, gets no more than this.
        const ms = waits ? Math.min(LEAST_PAUSE_MS, pollMs) : pollMs;
        await delay(jittered(ms), AbortSignal.any([this.stopping.signal, this.waking.signal]));
        this.isWoken = false;
      }
      if (this.stopping.signal.aborted) return;
      this.waking = new AbortController();
      // One that was refused would come again at once.
      waits = (await this.once(take, onFault)) && this.serverWaits;
    }
  }

  /** False when nothing was brought that is of use: what is wrong isn't asked for again at once. */
  private async once(take: TakeBundle, onFault: OnFault): Promise<boolean> {
    try {
      const brought = await this.download();
      if (brought === undefined) {
        onFault(undefined);
        return true;
      }
      const isTaken = await take(brought.octets);
      this.etag = isTaken ? brought.etag : undefined;
      return isTaken;
    } catch (error) {
      if (!this.stopping.signal.aborted && !this.waking.signal.aborted) onFault(error);
      return false;
    }
  }

  /** Undefined: there is nothing new. */
  private async download(): Promise<
    { readonly octets: Buffer; readonly etag: string | undefined } | undefined
  > {
    const { tokenFile, longPoll, maxBytes } = this.config;
    const { pool, path, query } = this.service;
    const waitMs =
      this.serverWaits && longPoll !== undefined && this.etag !== undefined ? longPoll * 1000 : 0;
    const limit = AbortSignal.timeout(ANSWER_MS + (waitMs === 0 ? 0 : waitMs + LONG_POLL_GRACE_MS));
    const { statusCode, headers, body } = await request(pool, {
      method: 'GET',
      path: `${path === '' ? '/' : path}${query}`,
      headers: {
        // Whole bundles alone: a delta is signed by nobody.
        prefer: `modes=snapshot${longPoll === undefined ? '' : `;wait=${longPoll}`}`,
        ...(this.etag === undefined ? {} : { 'if-none-match': this.etag }),
        ...(tokenFile === undefined ? {} : { authorization: `Bearer ${readToken(tokenFile)}` }),
      },
      signal: AbortSignal.any([this.stopping.signal, this.waking.signal, limit]),
    });
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > maxBytes) throw new SourceFault(`the server sends more than ${maxBytes} octets`);
      chunks.push(chunk);
    }
    this.serverWaits = longPoll !== undefined && headers['content-type'] === LONG_POLL_TYPE;
    if (statusCode === 304 && this.etag !== undefined) return undefined;
    if (statusCode !== 200) throw new SourceFault(`the server answered ${statusCode}`);
    const { etag } = headers;
    return { octets: Buffer.concat(chunks, size), etag: typeof etag === 'string' ? etag : undefined };
  }
}

export class FileBundleSource implements BundleSource {
  private readonly file: string;
  private stopWatching: () => void = () => {};
  private bring: () => Promise<void> = async () => {};
  private bringing: Promise<void> = Promise.resolve();

  constructor(file: string) {
    this.file = file;
  }

  async start(take: TakeBundle, onFault: OnFault): Promise<void> {
    this.bring = async () => {
      try {
        await take(await readFile(this.file));
      } catch (error) {
        onFault(error);
      }
    };
    this.stopWatching = watchFiles([this.file], () => this.again());
    this.again();
    await this.bringing;
  }

  /** One after the other: the last that was read is the one that counts. */
  again(): void {
    this.bringing = this.bringing.then(() => this.bring());
  }

  async stop(): Promise<void> {
    this.stopWatching();
    await this.bringing;
  }
}
