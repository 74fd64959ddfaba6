/**
 * A client without a sidecar, honest or not: TLS with an SVID, plain HTTP, and requests that it signs by hand. It shares nothing
 * with the signer in `src`.
 */
import { createHash, hash, randomBytes } from 'node:crypto';
import type { TestAgent } from './domain.ts';
import type { MeshAgent } from './mesh.ts';
import { connectTlsTo, type RawPeer, type TlsChoice } from './raw-peer.ts';

const b64u = (octets: Uint8Array): string => Buffer.from(octets).toString('base64url');

/** The id under which a connection without a session stands in the log. */
export const plainIdOf = (peer: RawPeer): string =>
  b64u(createHash('sha256').update('hopgate-plain/1').update(peer.exporter).digest().subarray(0, 16));

/** A connection with an SVID and no handshake. */
export const openPlainTo = async (
  target: MeshAgent,
  agent: TestAgent,
  choice: TlsChoice = {},
): Promise<RawPeer> => {
  const peer = await connectTlsTo(target, {
    cert: agent.svidPem,
    key: agent.svidKeyPem,
    alpn: ['http/1.1'],
    ...choice,
  });
  peer.session = plainIdOf(peer);
  return peer;
};

export interface SignedPlan {
  readonly method?: string;
  readonly target?: string;
  readonly host?: string;
  readonly chain?: string | undefined;
  readonly grant?: string | undefined;
  readonly body?: string | undefined;
  /** Beside or in place of those that each request has; undefined leaves one out. All of them are signed that have to be. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** Seconds. */
  readonly now?: number;
  readonly ttl?: number;
  readonly nonce?: string;
  readonly audience?: string;
  readonly exporter?: Uint8Array;
  /** Whose WIT is shown. */
  readonly wit?: string;
  /** Whose key signs. */
  readonly by?: TestAgent;
  readonly components?: readonly string[];
  /** What happens to it after it was signed. */
  readonly tamper?: (request: Sent) => Sent;
}

export interface Sent {
  readonly method: string;
  readonly target: string;
  /** Header lines, in order. */
  readonly lines: readonly string[];
  readonly body: string;
}

const SIGNED = [
  'workload-identity-token',
  'hopgate-channel',
  'delegation-chain',
  'delegation-grant',
  'delegation-labels',
  'content-type',
  'content-digest',
  'authorization',
  'txn-token',
];

/** The headers that prove a request; names in lower case. */
export const proofHeaders = (
  exporter: Uint8Array,
  audience: string,
  agent: TestAgent,
  plan: SignedPlan,
): Record<string, string> => {
  const { method = 'GET', target = '/vpcs', host = 'inventory.mesh', body, by = agent } = plan;
  const { now = Math.floor(Date.now() / 1000), ttl = 20, nonce = b64u(randomBytes(16)) } = plan;
  const headers = Object.fromEntries(
    Object.entries({
      'workload-identity-token': plan.wit ?? agent.wit,
      'hopgate-channel': b64u(plan.exporter ?? exporter),
      'delegation-chain': plan.chain,
      'delegation-grant': plan.grant,
      'content-digest': body === undefined ? undefined : `sha-256=:${hash('sha256', body, 'base64')}:`,
      ...plan.headers,
    }).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  const components = plan.components ?? [
    '@method',
    '@authority',
    '@request-target',
    ...SIGNED.filter((name) => name in headers),
  ];
  const derived: Record<string, string> = {
    '@method': method,
    '@authority': host,
    '@request-target': target,
  };
  const parameters = `(${components.map((name) => `"${name}"`).join(' ')});created=${now};expires=${now + ttl};nonce="${nonce}";tag="wimse-workload-to-workload";wimse-aud="${plan.audience ?? audience}"`;
  const base = [
    ...components.map((name) => `"${name}": ${derived[name] ?? headers[name] ?? ''}`),
    `"@signature-params": ${parameters}`,
  ].join('\n');
  return {
    ...headers,
    'signature-input': `wimse=${parameters}`,
    signature: `wimse=:${by.sign(Buffer.from(base)).toString('base64')}:`,
  };
};

/** The octets of a signed request for this connection. */
export const signedText = (
  peer: RawPeer,
  target: MeshAgent,
  agent: TestAgent,
  plan: SignedPlan = {},
): string => {
  const headers = proofHeaders(peer.exporter, target.agent.id, agent, plan);
  const {
    method = 'GET',
    target: path = '/vpcs',
    host = 'inventory.mesh',
    body = '',
    tamper = (one) => one,
  } = plan;
  const sent = tamper({
    method,
    target: path,
    lines: [
      `Host: ${host}`,
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
      ...(body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]),
    ],
    body,
  });
  return [`${sent.method} ${sent.target} HTTP/1.1`, ...sent.lines, '', sent.body].join('\r\n');
};

/** Without a header, or with another value of it. */
export const withLine =
  (name: string, value?: string) =>
  (sent: Sent): Sent => ({
    ...sent,
    lines: sent.lines.flatMap((line) =>
      line.toLowerCase().startsWith(`${name}:`) ? (value === undefined ? [] : [`${name}: ${value}`]) : [line],
    ),
  });

/** One line more. */
export const plusLine =
  (line: string) =>
  (sent: Sent): Sent => ({ ...sent, lines: [...sent.lines, line] });
