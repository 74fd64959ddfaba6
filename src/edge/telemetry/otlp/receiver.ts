/** A receiver of OTLP over HTTP with JSON (https://opentelemetry.io/docs/specs/otlp/#otlphttp). */
import { readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { request } from '../../http/undici.ts';
import { openService, readCa, type Service } from '../../opa/service-pool.ts';
import { watchFiles } from '../../store/watched-files.ts';
import type { Logger } from '../log.ts';
import type { Delivered } from './delivery.ts';

export interface ReceiverOptions {
  readonly endpoint: string;
  readonly caFile: string | undefined;
  readonly headersFile: string | undefined;
  /** For one delivery, from connecting to the last octet of the answer. */
  readonly timeoutMs: number;
  readonly log: Logger;
}

/** An answer says how many were not taken, and why. */
const MAX_ANSWER_BYTES = 65_536;
/** Of these the specification says: try again. */
const NOT_NOW = new Set([429, 502, 503, 504]);
const HEADER = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)[ \t]*$/;
const OURS = new Set([
  'connection',
  'content-length',
  'content-type',
  'content-encoding',
  'expect',
  'host',
  'transfer-encoding',
]);

/** `name: value` a line; blank lines and lines that begin with # say nothing. Throws; the message has the file's name and a line's number alone. */
export const readHeadersFile = (file: string): Readonly<Record<string, string>> => {
  const headers: Record<string, string> = {};
  for (const [at, line] of readFileSync(file, 'utf8').split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [, name = '', value = ''] = HEADER.exec(line) ?? [];
    if (name === '' || OURS.has(name.toLowerCase()))
      throw new Error(`${file}, line ${at + 1}: is no header to send along`);
    headers[name] = value;
  }
  return headers;
};

const readAll = async (body: Readable): Promise<string> => {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES) throw new RangeError('the answer is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
};

/** `{"partialSuccess": {"rejectedSpans": "3"}}`; whatever else it says, 2xx means taken. */
const rejectedIn = (text: string): number => {
  try {
    const { partialSuccess } = JSON.parse(text) as { partialSuccess?: Record<string, unknown> };
    const rejected = Number(partialSuccess?.rejectedSpans ?? partialSuccess?.rejectedLogRecords ?? 0);
    return Number.isSafeInteger(rejected) && rejected > 0 ? rejected : 0;
  } catch {
    return 0;
  }
};

export class Receiver {
  private readonly service: Service;
  private readonly timeoutMs: number;
  private headers: Readonly<Record<string, string>> = {};
  private readonly stopWatching: () => void;

  /** Opens no connection. Throws on files that can't be read. */
  constructor({ endpoint, caFile, headersFile, timeoutMs, log }: ReceiverOptions) {
    this.service = openService({
      url: endpoint,
      ca: readCa(caFile),
      connections: 2,
      connectMs: timeoutMs,
    });
    this.timeoutMs = timeoutMs;
    if (headersFile === undefined) {
      this.stopWatching = () => undefined;
      return;
    }
    this.headers = readHeadersFile(headersFile);
    this.stopWatching = watchFiles([headersFile], () => {
      try {
        this.headers = readHeadersFile(headersFile);
      } catch (error) {
        log.error(
          { error: (error as Error).message },
          'headers for the OTLP receiver can’t be read; the last ones stay',
        );
      }
    });
  }

  /** `signal`: `traces` or `logs`. Never rejects. */
  async send(signal: string, body: Uint8Array): Promise<Delivered> {
    const { pool, path } = this.service;
    try {
      const answer = await request(pool, {
        method: 'POST',
        path: `${path}/v1/${signal}`,
        headers: { ...this.headers, 'content-type': 'application/json' },
        body,
        signal: AbortSignal.timeout(this.timeoutMs),
      });
      const { statusCode } = answer;
      const text = await readAll(answer.body).catch((error: unknown) => {
        // What was taken was taken, however the answer ends.
        if (statusCode < 300) return '';
        throw error;
      });
      if (statusCode < 300) return { rejected: rejectedIn(text) };
      return NOT_NOW.has(statusCode) ? 'again' : 'refused';
    } catch {
      return 'again';
    }
  }

  close(): void {
    this.stopWatching();
    void this.service.pool.destroy();
  }
}
