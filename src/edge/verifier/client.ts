/** The verifier's API as its callers see it: typed by the contract, over its unix socket or over HTTPS that proves who answers. */
import type { Dispatcher } from 'undici';
import type {
  AnswerOf,
  AnyEndpoint,
  BodyFor,
  Endpoint,
  ParamsFor,
  QueryFor,
  StreamEndpoint,
  TaggedEndpoint,
} from '../../api/endpoint.ts';
import { isReasonCode } from '../../core/reasons.ts';
import { Client, Pool, request as send } from '../http/undici.ts';
import { readEvents } from './event-reader.ts';
import { inflateWhole } from './inflate.ts';
import { connectOptionsOf, type VerifierTarget } from './target.ts';
import { failureOf, VerifierError } from './verifier-error.ts';

export type { VerifierTarget } from './target.ts';
export { VerifierError } from './verifier-error.ts';

/** What goes into a request; what an endpoint doesn't take may be left out. */
export type Sent<E> = Optional<'params', ParamsFor<E>> &
  Optional<'query', QueryFor<E>> &
  Optional<'body', BodyFor<E>>;
// An object without a mandatory member may be left out, and so may no body.
type Optional<Name extends string, Value> = [Value] extends [undefined]
  ? { readonly [N in Name]?: undefined }
  : Record<never, never> extends Value
    ? { readonly [N in Name]?: Value }
    : { readonly [N in Name]: Value };

export interface ClientOptions {
  /** From sending to the end of the answer. */
  readonly timeoutMs?: number;
  /** Octets, uncompressed. */
  readonly maxAnswerBytes?: number;
  /** Hears what time it is at the verifier, in seconds, with each answer (RFC 9110 §6.6.1): for finding out whose clock is wrong. */
  readonly onDate?: (seconds: number) => void;
}

const DEFAULT_TIMEOUT_MS = 15_000;
const DEFAULT_MAX_ANSWER_BYTES = 32 * 1024 * 1024;
/** A stream that says nothing for so long is dead: the verifier sends a sign of life every 15 s. */
const STREAM_SILENCE_MS = 45_000;

/** `path` with its parameters, and the query behind it. */
const targetOf = (endpoint: AnyEndpoint, params: unknown, query: unknown): string => {
  const values = (params ?? {}) as Readonly<Record<string, unknown>>;
  const path = endpoint.path.replaceAll(/\{([A-Za-z]+)\}/g, (_all, name: string) =>
    encodeURIComponent(String(values[name])),
  );
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries((query ?? {}) as object))
    if (value !== undefined) search.set(name, String(value));
  return search.size === 0 ? path : `${path}?${search}`;
};

interface Received {
  readonly status: number;
  readonly headers: Dispatcher.ResponseData['headers'];
  readonly body: Buffer;
}

const headerOf = ({ headers }: Pick<Received, 'headers'>, name: string): string => {
  const value = headers[name];
  return (Array.isArray(value) ? value[0] : value) ?? '';
};

/** The error in an answer that is none. */
const problemIn = ({ status, body }: Pick<Received, 'status' | 'body'>): VerifierError => {
  let problem: { readonly code?: unknown; readonly detail?: unknown; readonly title?: unknown } = {};
  try {
    problem = JSON.parse(body.toString()) as typeof problem;
  } catch {
    // Something between us and the verifier answers in words of its own.
  }
  const { code, detail, title } = problem;
  if (typeof code !== 'string' || !isReasonCode(code))
    return new VerifierError('verifier_unreachable', `who answers is no verifier: status ${status}`);
  const text = [detail, title].find((one) => typeof one === 'string');
  return new VerifierError(code, text ?? '');
};

const parseAnswer = <E extends AnyEndpoint>(endpoint: E, text: string): AnswerOf<E> => {
  let value: unknown;
  try {
    value = text === '' ? undefined : JSON.parse(text);
  } catch {
    throw new VerifierError('verifier_unreachable', `the answer of ${endpoint.name} is not JSON`);
  }
  const parsed = endpoint.answer.safeParse(value);
  if (parsed.success) return parsed.data as AnswerOf<E>;
  throw new VerifierError(
    'verifier_unreachable',
    `the answer of ${endpoint.name} is not of this version of hopgate; compare "hopgate --version" on both sides`,
  );
};

const aborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason as Error);
    else signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });

/** Connections to one verifier under one identity: for another identity make another client, and close this one. */
export class VerifierClient {
  private readonly target: VerifierTarget;
  private readonly timeoutMs: number;
  private readonly maxAnswerBytes: number;
  private readonly onDate: (seconds: number) => void;
  private readonly pool: Pool;
  private readonly streams = new Set<AbortController>();

  /** Connects with the first call. Throws when a CA certificate or the identity can't be used. */
  constructor(target: VerifierTarget, options: ClientOptions = {}) {
    this.target = target;
    this.timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.maxAnswerBytes = options.maxAnswerBytes ?? DEFAULT_MAX_ANSWER_BYTES;
    this.onDate = options.onDate ?? (() => undefined);
    const { origin, connect } = connectOptionsOf(target, this.timeoutMs);
    this.pool = new Pool(origin, { connect, connections: 8, allowH2: false });
  }

  /** Throws {@link VerifierError}. */
  async call<E extends Endpoint>(endpoint: E, sent: Sent<E>, signal?: AbortSignal): Promise<AnswerOf<E>> {
    const received = await this.request(endpoint, sent, {}, signal);
    if (received.status !== endpoint.status) throw problemIn(received);
    return parseAnswer(endpoint, received.body.toString());
  }

  /** Undefined when the answer still is the one that has this tag. Throws {@link VerifierError}. */
  async callTagged<E extends TaggedEndpoint>(
    endpoint: E,
    sent: Sent<E>,
    known?: string,
    signal?: AbortSignal,
  ): Promise<{ readonly tag: string; readonly answer: AnswerOf<E> } | undefined> {
    const headers = {
      'accept-encoding': 'gzip',
      ...(known !== undefined && { 'if-none-match': `"${known}"` }),
    };
    const received = await this.request(endpoint, sent, headers, signal);
    if (received.status === 304 && known !== undefined) return undefined;
    if (received.status !== 200) throw problemIn(received);
    const tag = /^"([A-Za-z0-9._-]{1,100})"$/.exec(headerOf(received, 'etag'))?.[1] ?? '';
    return { tag, answer: parseAnswer(endpoint, received.body.toString()) };
  }

  /**
   * Events until `signal`, or until the verifier ends it. Throws {@link VerifierError}, also when nothing is heard for 45 s: then
   * connect anew. Has a connection of its own.
   */
  async *stream<E extends StreamEndpoint>(
    endpoint: E,
    sent: Sent<E>,
    signal?: AbortSignal,
  ): AsyncGenerator<AnswerOf<E>, void, void> {
    const own = new AbortController();
    const ended = signal === undefined ? own.signal : AbortSignal.any([own.signal, signal]);
    const { origin, connect } = connectOptionsOf(this.target, this.timeoutMs);
    const client = new Client(origin, { connect, allowH2: false, bodyTimeout: STREAM_SILENCE_MS });
    this.streams.add(own);
    try {
      const { statusCode, headers, body } = await send(client, {
        ...this.dispatchOf(endpoint, sent, { accept: 'text/event-stream' }),
        signal: ended,
        headersTimeout: this.timeoutMs,
        bodyTimeout: STREAM_SILENCE_MS,
      });
      this.noteDate(headers);
      if (statusCode !== 200 || !headerOf({ headers }, 'content-type').startsWith('text/event-stream'))
        throw problemIn({ status: statusCode, body: await this.collect(body) });
      for await (const data of readEvents(body)) yield parseAnswer(endpoint, data);
    } catch (error) {
      if (signal?.aborted === true) return;
      throw failureOf(error, this.target);
    } finally {
      own.abort();
      this.streams.delete(own);
      await client.destroy();
    }
  }

  private dispatchOf(endpoint: AnyEndpoint, sent: object, headers: Readonly<Record<string, string>>) {
    const { params, query, body } = sent as {
      readonly params?: unknown;
      readonly query?: unknown;
      readonly body?: unknown;
    };
    if (this.target.kind === 'unproven' && (endpoint.access !== 'anyone' || endpoint.guessable))
      throw new VerifierError(
        'verifier_untrusted',
        `${endpoint.name} needs a verifier that has proven itself`,
      );
    return {
      method: endpoint.method,
      path: targetOf(endpoint, params, query),
      headers: { ...headers, ...(body !== undefined && { 'content-type': 'application/json' }) },
      body: body === undefined ? null : JSON.stringify(body),
    };
  }

  private async request(
    endpoint: AnyEndpoint,
    sent: object,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal | undefined,
  ): Promise<Received> {
    const deadline = AbortSignal.timeout(this.timeoutMs);
    const ended = signal === undefined ? deadline : AbortSignal.any([signal, deadline]);
    try {
      // Undici lets who waits for a connection wait on, whatever its signal says.
      const response = await Promise.race([
        send(this.pool, { ...this.dispatchOf(endpoint, sent, headers), signal: ended }),
        aborted(ended),
      ]);
      this.noteDate(response.headers);
      const raw = await this.collect(response.body);
      const isCompressed = headerOf(response, 'content-encoding') === 'gzip';
      const body = isCompressed ? await inflateWhole(raw, this.maxAnswerBytes) : raw;
      return { status: response.statusCode, headers: response.headers, body };
    } catch (error) {
      throw failureOf(error, this.target);
    }
  }

  private noteDate(headers: Received['headers']): void {
    const milliseconds = Date.parse(headerOf({ headers }, 'date'));
    if (Number.isFinite(milliseconds)) this.onDate(Math.floor(milliseconds / 1000));
  }

  private async collect(body: AsyncIterable<Buffer>): Promise<Buffer> {
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of body) {
      size += chunk.length;
      if (size > this.maxAnswerBytes)
        throw new VerifierError(
          'verifier_unreachable',
          `an answer of more than ${this.maxAnswerBytes} octets`,
        );
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  endStreams(): void {
    for (const stream of this.streams) stream.abort();
  }

  /** Ends streams and connections; requests under way fail. */
  async close(): Promise<void> {
    this.endStreams();
    await this.pool.destroy();
  }
}
