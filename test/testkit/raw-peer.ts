/**
 * A hostile peer: TLS with any certificate, handshake frames made by hand, then any octets. It shares nothing with the
 * initiator in `src`, so that a fault there can't hide behind itself.
 */
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import type { TestAgent } from './domain.ts';
import type { MeshAgent } from './mesh.ts';

const SEGMENT_LIMIT_MS = 10_000;
const LABEL = 'hopgate-hs/1';
const b64u = (octets: Uint8Array | string): string => Buffer.from(octets).toString('base64url');
const sha256 = (...parts: readonly Uint8Array[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** A frame of any type with any fields. */
export const frame = (type: number, fields: readonly (Uint8Array | string)[]): Buffer => {
  const body = Buffer.concat(
    fields.flatMap((field) => {
      const octets = Buffer.from(field as string);
      const length = Buffer.alloc(2);
      length.writeUInt16BE(octets.length);
      return [length, octets];
    }),
  );
  const head = Buffer.alloc(4);
  head.writeUIntBE((type << 24) >>> 0, 0, 4);
  head.writeUIntBE(body.length, 1, 3);
  return Buffer.concat([head, body]);
};

const fieldsOf = (octets: Buffer): Buffer[] => {
  const fields: Buffer[] = [];
  for (let at = 4; at < octets.length; ) {
    const end = at + 2 + octets.readUInt16BE(at);
    fields.push(octets.subarray(at + 2, end));
    at = end;
  }
  return fields;
};

export interface RawResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly rawHeaders: readonly (readonly [string, string])[];
  readonly body: string;
  /** Whether it ended as it announced, and not with the connection. */
  readonly whole: boolean;
  /** Reason code of a refusal. */
  readonly code: string | undefined;
  readonly hop: string | undefined;
}

export interface TlsChoice {
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly alpn?: readonly string[];
  readonly session?: Buffer | undefined;
  readonly maxVersion?: 'TLSv1.2' | 'TLSv1.3';
  /** Any of 127/8: another source. */
  readonly localAddress?: string;
}

/** Octets as they come, and a way to wait for more of them. */
export class RawPeer {
  readonly socket: TLSSocket;
  private buffered: Buffer = Buffer.alloc(0);
  private wake: (() => void) | undefined;
  closed = false;
  error: NodeJS.ErrnoException | undefined;
  /** 22 characters, once the handshake is through. */
  session = '';
  requests = 0;
  /** TLS sessions (tickets) that arrived. */
  readonly tickets: Buffer[] = [];

  constructor(socket: TLSSocket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.buffered = Buffer.concat([this.buffered, chunk]);
      this.wake?.();
    });
    socket.on('session', (ticket: Buffer) => this.tickets.push(ticket));
    socket.on('error', (error) => {
      this.error = error;
    });
    socket.on('end', () => {
      this.closed = true;
      this.wake?.();
    });
    socket.on('close', () => {
      this.closed = true;
      this.wake?.();
    });
  }

  /** The hop id of the last request. */
  get hop(): string {
    return `${this.session}.${this.requests}`;
  }

  get exporter(): Buffer {
    return this.socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0));
  }

  get pending(): Buffer {
    return this.buffered;
  }

  private more(): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () =>
          reject(
            new Error(
              `nothing came for ${SEGMENT_LIMIT_MS} ms; so far: ${this.buffered.toString('latin1').slice(0, 500)}`,
            ),
          ),
        SEGMENT_LIMIT_MS,
      );
      this.wake = () => {
        clearTimeout(timer);
        this.wake = undefined;
        resolve();
      };
    });
  }

  async until(enough: () => boolean): Promise<void> {
    while (!enough() && !this.closed) await this.more();
  }

  async ended(): Promise<void> {
    while (!this.closed) await this.more();
  }

  write(octets: Uint8Array | string): void {
    this.socket.write(Buffer.from(octets as string, 'latin1'));
  }

  /** The next frame; undefined when the connection ends before it. */
  async readFrame(): Promise<Buffer | undefined> {
    const size = (): number => (this.buffered.length < 4 ? 4 : 4 + this.buffered.readUIntBE(1, 3));
    await this.until(() => this.buffered.length >= 4 && this.buffered.length >= size());
    if (this.buffered.length < size()) return undefined;
    const octets = this.buffered.subarray(0, size());
    this.buffered = this.buffered.subarray(size());
    return octets;
  }

  /** So many octets; undefined when the connection ends before them. */
  async readOctets(count: number): Promise<Buffer | undefined> {
    await this.until(() => this.buffered.length >= count);
    if (this.buffered.length < count) return undefined;
    const octets = this.buffered.subarray(0, count);
    this.buffered = this.buffered.subarray(count);
    return octets;
  }

  /** Sends a request as it stands and reads one response. */
  async ask(octets: Uint8Array | string): Promise<RawResponse> {
    this.requests++;
    this.write(octets);
    return this.readResponse();
  }

  /** Reads one response; one that is cut by the end of the connection is not `whole`. */
  async readResponse(method = 'GET'): Promise<RawResponse> {
    await this.until(() => this.buffered.includes('\r\n\r\n'));
    const end = this.buffered.indexOf('\r\n\r\n');
    if (end === -1)
      throw new Error(
        `no response: ${this.error?.code ?? 'the connection ended'} ${this.buffered.toString('latin1').slice(0, 200)}`,
      );
    const [line = '', ...lines] = this.buffered.toString('latin1', 0, end).split('\r\n');
    this.buffered = this.buffered.subarray(end + 4);
    const status = Number(line.split(' ')[1]);
    const rawHeaders = lines.map((text) => {
      const colon = text.indexOf(':');
      return [text.slice(0, colon), text.slice(colon + 1).trim()] as const;
    });
    const headers = Object.fromEntries(rawHeaders.map(([name, value]) => [name.toLowerCase(), value]));
    const bodiless = method === 'HEAD' || status === 204 || status === 304 || status < 200;
    const { body, whole } = bodiless ? { body: '', whole: true } : await this.readBody(headers);
    const problem =
      headers['content-type'] === 'application/problem+json' && whole
        ? (JSON.parse(body) as { code: string; hop?: string })
        : undefined;
    return { status, headers, rawHeaders, body, whole, code: problem?.code, hop: problem?.hop };
  }

  private async readBody(
    headers: Readonly<Record<string, string>>,
  ): Promise<{ body: string; whole: boolean }> {
    if (headers['transfer-encoding'] === 'chunked') return this.readChunks();
    const length =
      headers['content-length'] === undefined ? Number.POSITIVE_INFINITY : Number(headers['content-length']);
    await this.until(() => this.buffered.length >= length);
    const body = this.buffered.subarray(0, length).toString('latin1');
    this.buffered = this.buffered.subarray(body.length);
    return { body, whole: body.length === length };
  }

  private async readChunks(): Promise<{ body: string; whole: boolean }> {
    for (let body = ''; ; ) {
      await this.until(() => this.buffered.includes('\r\n'));
      const end = this.buffered.indexOf('\r\n');
      if (end === -1) return { body, whole: false };
      const size = Number.parseInt(this.buffered.toString('latin1', 0, end), 16);
      await this.until(() => this.buffered.length >= end + 4 + size);
      if (this.buffered.length < end + 4 + size) return { body, whole: false };
      body += this.buffered.toString('latin1', end + 2, end + 2 + size);
      this.buffered = this.buffered.subarray(end + 4 + size);
      if (size === 0) return { body, whole: true };
    }
  }

  /** Reads no more: whoever called has the socket to itself, and what had come already. */
  detach(): Buffer {
    this.socket.removeAllListeners('data');
    const octets = this.buffered;
    this.buffered = Buffer.alloc(0);
    return octets;
  }

  close(): void {
    this.socket.destroy();
  }
}

/** A TLS connection to a sidecar's door, with whatever certificate. Rejects when TLS itself fails. */
export const connectTlsTo = (
  target: MeshAgent,
  { cert, key, alpn = ['hopgate-h1/1'], session, maxVersion, localAddress }: TlsChoice = {},
): Promise<RawPeer> =>
  new Promise((resolve, reject) => {
    const socket = connect({
      host: '127.0.0.1',
      port: target.addresses.inbound?.port,
      ...(cert === undefined ? {} : { cert, key }),
      ...(alpn.length === 0 ? {} : { ALPNProtocols: [...alpn] }),
      ...(session === undefined ? {} : { session }),
      ...(maxVersion === undefined ? {} : { maxVersion }),
      ...(localAddress === undefined ? {} : { localAddress }),
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    } as ConnectionOptions);
    const peer = new RawPeer(socket);
    socket.once('secureConnect', () => resolve(peer));
    socket.once('close', () => reject(peer.error ?? new Error('closed within TLS')));
  });

export interface Claims {
  readonly [name: string]: unknown;
}

/** What is done to each step of the handshake. What isn't named is done right. */
export interface Tampering {
  /** Version, suites, nonce, WIT. */
  readonly fields?: (fields: (Buffer | string)[]) => readonly (Buffer | string)[];
  readonly hello?: (frame: Buffer) => Buffer;
  /** Sent instead of F3. */
  readonly claims?: (claims: Claims, seen: SeenChallenge) => Claims;
  readonly type?: string;
  readonly signer?: (message: Buffer) => Buffer;
  readonly proof?: (text: string, seen: SeenChallenge) => string;
  readonly last?: (frame: Buffer) => Buffer;
  /** HTTP right behind F3, before F4. */
  readonly behind?: string;
}

export interface SeenChallenge {
  readonly hello: Buffer;
  readonly challenge: Buffer;
  /** suite, nonce, WIT, proof. */
  readonly fields: readonly Buffer[];
}

export type HandshakeResult =
  | { readonly status: 'accepted'; readonly deadline: number }
  | { readonly status: 'refused'; readonly reason: string }
  | { readonly status: 'closed' };

const readResult = (octets: Buffer | undefined): HandshakeResult => {
  if (octets?.[0] !== 4) return { status: 'closed' };
  const [status, value = Buffer.alloc(0)] = fieldsOf(octets);
  return status?.[0] === 0
    ? { status: 'accepted', deadline: Number(value.readBigUInt64BE()) }
    : { status: 'refused', reason: value.toString('latin1') };
};

export const signCompact = (
  header: string,
  payload: Uint8Array | string,
  sign: (message: Buffer) => Buffer,
): string => {
  const input = `${b64u(header)}.${b64u(payload)}`;
  return `${input}.${b64u(sign(Buffer.from(input)))}`;
};

/** What the SPEC says that the initiator's proof holds (section 11). */
export const proofClaimsOf = (
  peer: RawPeer,
  agent: TestAgent,
  target: MeshAgent,
  seen: SeenChallenge,
): Claims => ({
  label: LABEL,
  role: 'initiator',
  iid: agent.id,
  rid: target.agent.id,
  ijkt: agent.thumbprint,
  rjkt: target.agent.thumbprint,
  icert: b64u(sha256(new X509Certificate(agent.svidPem).raw)),
  rcert: b64u(sha256(new X509Certificate(target.agent.svidPem).raw)),
  exporter: b64u(peer.exporter),
  th: b64u(sha256(sha256(seen.hello), seen.challenge)),
});

export const helloFields = (agent: TestAgent, nonce: Buffer): (Buffer | string)[] => [
  LABEL,
  Buffer.of(1),
  nonce,
  agent.wit,
];

/** Runs the handshake over an open TLS connection. */
export const shake = async (
  peer: RawPeer,
  target: MeshAgent,
  agent: TestAgent,
  tampering: Tampering = {},
): Promise<HandshakeResult> => {
  const fields = helloFields(agent, randomBytes(32));
  const plain = frame(1, tampering.fields?.(fields) ?? fields);
  const hello = tampering.hello?.(plain) ?? plain;
  peer.write(hello);
  const challenge = await peer.readFrame();
  if (challenge?.[0] !== 2) return readResult(challenge);
  const seen = { hello, challenge, fields: fieldsOf(challenge) };
  const claims = proofClaimsOf(peer, agent, target, seen);
  const text = signCompact(
    `{"alg":"Ed25519","typ":"${tampering.type ?? 'hs-i+jwt'}"}`,
    JSON.stringify(tampering.claims?.(claims, seen) ?? claims),
    tampering.signer ?? agent.sign,
  );
  const last = frame(3, [tampering.proof?.(text, seen) ?? text]);
  peer.session = b64u(sha256(sha256(hello), challenge).subarray(0, 16));
  peer.write(Buffer.concat([tampering.last?.(last) ?? last, Buffer.from(tampering.behind ?? '', 'latin1')]));
  return readResult(await peer.readFrame());
};

/** TLS and a handshake that is right, or tampered with. */
export const connectPeer = async (
  target: MeshAgent,
  agent: TestAgent,
  tampering: Tampering = {},
  choice: TlsChoice = {},
): Promise<{ readonly peer: RawPeer; readonly result: HandshakeResult }> => {
  const peer = await connectTlsTo(target, { cert: agent.svidPem, key: agent.svidKeyPem, ...choice });
  return { peer, result: await shake(peer, target, agent, tampering) };
};

/** A session that must come about. */
export const openSession = async (
  target: MeshAgent,
  agent: TestAgent,
  choice: TlsChoice = {},
): Promise<RawPeer> => {
  const { peer, result } = await connectPeer(target, agent, {}, choice);
  if (result.status !== 'accepted') throw new Error(`the handshake failed: ${JSON.stringify(result)}`);
  return peer;
};

export interface RawRequest {
  readonly method?: string;
  readonly target?: string;
  /** Header lines in order; `Host` is first unless given. */
  readonly headers?: readonly string[];
  readonly chain?: string | undefined;
  readonly grant?: string | undefined;
  readonly body?: string;
}

/** The octets of a request. */
export const requestText = ({
  method = 'GET',
  target = '/vpcs',
  headers = [],
  chain,
  grant,
  body = '',
}: RawRequest): string =>
  [
    `${method} ${target} HTTP/1.1`,
    ...(headers.some((line) => /^host:/i.test(line)) ? [] : ['Host: inventory.mesh']),
    ...(chain === undefined ? [] : [`Delegation-Chain: ${chain}`]),
    ...(grant === undefined ? [] : [`Delegation-Grant: ${grant}`]),
    ...headers,
    '',
    body,
  ].join('\r\n');
