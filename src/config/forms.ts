/**
 * The forms of single values in configuration files, each with the sentence that a wrong one gets. `title` names the
 * form in the JSON Schema and the reference page; `pattern` is what an editor can check, the predicate decides. Each aborts: what
 * compares whole maps afterwards must never see a value that is no value of its form.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { z } from 'zod';
import { isScopeLiteral, isScopePattern } from '../core/delegation/scope.ts';
import { isBase64urlOf } from '../core/encoding/base64url.ts';
import { MAX_TIME } from '../core/limits.ts';
import { isDestination } from '../core/policy/destination.ts';
import { LABEL } from '../core/policy/forms.ts';
import { isPrivateRange } from '../core/policy/private-range.ts';
import { isIdPattern, isPrincipal, isTrustDomain } from '../core/spiffe-id.ts';

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };
const DURATION_MESSAGE = 'a duration: a whole number and s, m, h or d, such as "15m"';
const DURATION = /^([1-9][0-9]{0,8})(s|m|h|d)$/;
/** Timers count milliseconds in 31 bits: anything past 24.8 days would fire at once. */
const MAX_DURATION_SECONDS = 24 * 86_400;

/** `90s`, `15m`, `2h`, `1d` to seconds. */
export const parseDuration = (text: string): number | undefined => {
  const match = DURATION.exec(text);
  return match === null ? undefined : Number(match[1]) * (UNIT_SECONDS[match[2] ?? ''] ?? Number.NaN);
};

/** Seconds, 1 to 24 days. */
export const duration = z
  .string(DURATION_MESSAGE)
  .regex(DURATION, { error: DURATION_MESSAGE, abort: true })
  .refine((text) => (parseDuration(text) ?? 0) <= MAX_DURATION_SECONDS, {
    error: 'a duration of 24d at most',
    abort: true,
  })
  .meta({ title: 'duration' })
  .transform((text) => parseDuration(text) ?? Number.NaN);

const MAX_LONG_DURATION_SECONDS = 366 * 86_400;
/** Seconds, 1 to 366 days: for what no timer waits for. */
export const longDuration = z
  .string(DURATION_MESSAGE)
  .regex(DURATION, { error: DURATION_MESSAGE, abort: true })
  .refine((text) => (parseDuration(text) ?? 0) <= MAX_LONG_DURATION_SECONDS, {
    error: 'a duration of 366d at most',
    abort: true,
  })
  .meta({ title: 'long duration' })
  .transform((text) => parseDuration(text) ?? Number.NaN);

const SHORT_MESSAGE = 'a short time: a whole number and ms or s, such as "50ms"';
const SHORT = /^([1-9][0-9]{0,4})(ms|s)$/;
const MAX_SHORT_MS = 60_000;
/** `50ms`, `2s` to milliseconds, a minute at most: for what a request waits for. */
export const shortDuration = z
  .string(SHORT_MESSAGE)
  .regex(SHORT, { error: SHORT_MESSAGE, abort: true })
  .transform((text) => {
    const match = SHORT.exec(text);
    return Number(match?.[1]) * (match?.[2] === 's' ? 1000 : 1);
  })
  .refine((milliseconds) => milliseconds <= MAX_SHORT_MS, { error: 'a minute at most', abort: true })
  .meta({ title: 'short time' });

const MOMENT_MESSAGE = 'a time with its date and zone (RFC 3339), such as 2026-12-31T00:00:00Z';
const MOMENT = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:Z|([+-])(\d\d):(\d\d))$/;

/** `2026-12-31T00:00:00Z`, `2026-12-31T01:00:00+01:00` to seconds since 1970; `undefined` for anything else, 30 February included. */
export const parseMoment = (text: string): number | undefined => {
  const match = MOMENT.exec(text);
  if (match === null) return undefined;
  const [, local = '', sign, hours = '0', minutes = '0'] = match;
  const milliseconds = Date.parse(`${local}Z`);
  if (Number.isNaN(milliseconds) || !new Date(milliseconds).toISOString().startsWith(local)) return undefined;
  if (Number(hours) > 23 || Number(minutes) > 59) return undefined;
  const offset = (Number(hours) * 60 + Number(minutes)) * 60 * (sign === '-' ? -1 : 1);
  const seconds = milliseconds / 1000 - offset;
  return seconds >= 1 && seconds <= MAX_TIME ? seconds : undefined;
};

/** A moment to seconds since 1970. */
export const moment = z
  .string(MOMENT_MESSAGE)
  .refine((text) => parseMoment(text) !== undefined, { error: MOMENT_MESSAGE, abort: true })
  .meta({ title: 'time', pattern: MOMENT.source })
  .transform((text) => parseMoment(text) ?? Number.NaN);

const BYTES = /^([1-9][0-9]{0,11})(KiB|MiB|GiB)?$/;
const UNIT_BYTES: Readonly<Record<string, number>> = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };
const BYTES_MESSAGE = 'a size in octets: a whole number, with KiB, MiB or GiB behind it or nothing';
/** Octets. YAML reads a bare number as a number, so both are taken. */
export const bytes = z
  .union([z.int().min(1).max(999_999_999_999), z.string().regex(BYTES, { abort: true })], BYTES_MESSAGE)
  .meta({ title: 'size' })
  .transform((value) => {
    if (typeof value === 'number') return value;
    const match = BYTES.exec(value);
    return Number(match?.[1]) * (UNIT_BYTES[match?.[2] ?? ''] ?? 1);
  });

/** Where to listen or connect: TCP or a unix socket. */
export type Address = { readonly host: string; readonly port: number } | { readonly path: string };
/** TCP alone. */
export type TcpAddress = Extract<Address, { readonly host: string }>;

export const formatAddress = (address: Address): string =>
  'path' in address
    ? `unix:${address.path}`
    : `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;

const HOST_PORT = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):(0|[1-9][0-9]{0,4})$/;
const HOST_NAME = /^(?=.{1,253}$)(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.|$))+(?<!\.)$/;
/** An address of numbers and dots that is no IPv4 address, such as 10.0.0.256, is a slip and no name. */
const isHost = (text: string): boolean => isIPv4(text) || (HOST_NAME.test(text) && !/^[0-9.]+$/.test(text));
/** What a socket's path may have on Linux, less its final NUL (sun_path, unix(7)). */
const MAX_SOCKET_PATH_BYTES = 107;

/** `host:port`, `[ipv6]:port` or `unix:/path`; `undefined` for anything else. */
export const parseAddress = (text: string): Address | undefined => {
  if (text.startsWith('unix:')) {
    const path = text.slice(5);
    const fits = path.startsWith('/') && !path.includes('\0') && path.length > 1;
    return fits && Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES ? { path } : undefined;
  }
  const match = HOST_PORT.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2] ?? '';
  const valid = match?.[1] === undefined ? isHost(host) : isIPv6(host);
  return match === null || !valid || port > 65_535 ? undefined : { host, port };
};

const TCP_MESSAGE = 'an address: host:port or [ipv6]:port';
const LOCAL_MESSAGE =
  'a local address: 127.0.0.1:port, [::1]:port or unix:/path (107 octets at most). Anything else, names included, could be reached or answered by others';
const PORT = { error: 'a port from 1 to 65535', abort: true };

const isTcp = (address: Address | undefined): address is TcpAddress =>
  address !== undefined && 'port' in address;
const isLocal = (address: Address | undefined): boolean =>
  address !== undefined &&
  ('path' in address || address.host === '::1' || (isIPv4(address.host) && address.host.startsWith('127.')));

const TCP_PATTERN = '^(\\[[0-9a-fA-F:.]+\\]|[A-Za-z0-9.-]+):(0|[1-9][0-9]{0,4})$';
const LOCAL_PATTERN = '^(unix:/.+|127\\.[0-9.]+:(0|[1-9][0-9]{0,4})|\\[::1\\]:(0|[1-9][0-9]{0,4}))$';

/** Where to listen on a network. Port 0 lets the system choose. */
export const listenAddress = z
  .string(TCP_MESSAGE)
  .refine((text) => isTcp(parseAddress(text)), { error: TCP_MESSAGE, abort: true })
  .meta({ title: 'TCP address', pattern: TCP_PATTERN })
  .transform((text) => parseAddress(text) as TcpAddress);

/** Where to listen for this machine alone. Port 0 lets the system choose. */
export const localListenAddress = z
  .string(LOCAL_MESSAGE)
  .refine((text) => isLocal(parseAddress(text)), { error: LOCAL_MESSAGE, abort: true })
  .meta({ title: 'local address', pattern: LOCAL_PATTERN })
  .transform((text) => parseAddress(text) as Address);

/** Where something of this machine listens. */
export const localAddress = localListenAddress.refine(
  (address) => !('port' in address) || address.port > 0,
  PORT,
);

/** Where a peer listens. */
export const peerAddress = listenAddress.refine((address) => address.port > 0, PORT);

// Content where a name belongs is a mistake that puts a secret into a file that people share and commit.
const CONTENT = /-----BEGIN |^\s*\{|^\s*eyJ[\w-]*\.|[\r\n]/;
/** A file, relative to the configuration file that names it. Never its content. */
export const file = z
  .string('the name of a file')
  .regex(/^(?!\s*eyJ[\w-]*\.)(?!\s*\{)(?!\s*-----BEGIN )[^\p{Cc}]+$/u, {
    abort: true,
    error: ({ input }) =>
      typeof input === 'string' && CONTENT.test(input)
        ? 'the name of a file is wanted here, and this looks like its content: put it into a file of its own (mode 0600), name that file, and replace the secret if anyone could have read this one'
        : 'the name of a file',
  })
  .meta({ title: 'file' });

const form = (title: string, accepts: (text: string) => boolean, pattern: RegExp, message: string) =>
  z.string(message).refine(accepts, { error: message, abort: true }).meta({ title, pattern: pattern.source });

export const trustDomain = form(
  'trust domain',
  isTrustDomain,
  /^[a-z0-9._-]{1,255}$/,
  'a trust domain: lower-case letters, digits, ".", "_", "-"',
);
export const idPattern = form(
  'agent ID or type',
  isIdPattern,
  /^spiffe:\/\/[a-z0-9._-]{1,255}\/(agent\/[A-Za-z0-9._-]+|client)\/([A-Za-z0-9._-]+|\*)$/,
  'an agent ID such as spiffe://company.com/agent/inventory/1, or a type: …/agent/inventory/*',
);
export const principal = form(
  'principal',
  isPrincipal,
  /^[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+$/,
  'a principal: a URI such as mailto:alice@company.com',
);
export const issuerUrl = form(
  'issuer URL',
  (text) => {
    if (!URL.canParse(text) || /[?#]/.test(text)) return false;
    const { protocol, username, password } = new URL(text);
    return /^https?:$/.test(protocol) && username === '' && password === '';
  },
  /^https?:\/\/[^\s?#@/]+(\/[^\s?#]*)?$/,
  'the URL of an OIDC issuer: https://…, without credentials, query or fragment',
);
const URL_MESSAGE =
  'a URL without credentials or fragment: https://…, http:// to 127.0.0.1, [::1] or localhost, where nobody else listens in, or unix:/path';
const LOOPBACK = /^(?:127\.[0-9.]+|\[::1\]|localhost)$/;
/** Where a service of the operator's is asked: TLS, this machine, or a unix socket. */
export const serviceUrl = form(
  'service URL',
  (text) => {
    if (text.startsWith('unix:')) return parseAddress(text) !== undefined;
    if (!URL.canParse(text) || /[\s#]/.test(text)) return false;
    const { protocol, hostname, username, password } = new URL(text);
    if (username !== '' || password !== '') return false;
    return protocol === 'https:' || (protocol === 'http:' && LOOPBACK.test(hostname));
  },
  /^(https:\/\/|http:\/\/(127\.|\[::1\]|localhost)|unix:\/)[\x21-\x7e]+$/,
  URL_MESSAGE,
);
const SCOPE_SEGMENT = '[A-Za-z0-9._/-]+';
const SCOPE_PATTERN = new RegExp(`^${SCOPE_SEGMENT}(:${SCOPE_SEGMENT})*(:(${SCOPE_SEGMENT})?\\*)?$`);
export const scopePattern = form(
  'scope pattern',
  isScopePattern,
  SCOPE_PATTERN,
  'a scope pattern such as cloud:read, cloud:* or ec2:Describe*',
);
export const scopeMember = form(
  'scope pattern or set',
  isScopePattern,
  SCOPE_PATTERN,
  'a scope pattern such as cloud:read, cloud:* or ec2:Describe*, or the name of a scope set',
);
export const scopeName = form(
  'scope name',
  isScopeLiteral,
  new RegExp(`^${SCOPE_SEGMENT}(:${SCOPE_SEGMENT})*$`),
  'a scope name such as infrastructure:review',
);
export const thumbprint = form(
  'thumbprint',
  (text) => isBase64urlOf(text, 32),
  /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/,
  'a key thumbprint: 43 characters of base64url',
);
export const toolDigest = form(
  'digest',
  (text) => isBase64urlOf(text, 32),
  /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/,
  'a SHA-256 of a tool’s definition: 43 characters of base64url',
);
export const agentType = form(
  'agent type',
  (text) => /^(?!\.{1,2}$)[A-Za-z0-9._-]+$/.test(text),
  /^(?!\.{1,2}$)[A-Za-z0-9._-]+$/,
  'an agent type, such as planning',
);
const MESH_HOST =
  /^(?=.{1,253}$)(?![0-9.]+$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;
export const host = form(
  'host name',
  (text) => MESH_HOST.test(text),
  MESH_HOST,
  'a host name in lower case, without a port; not an IP address',
);
export const printableText = form(
  'printable text',
  (text) => /^[\x21-\x7e]{1,512}$/.test(text),
  /^[\x21-\x7e]{1,512}$/,
  'printable characters without blanks, 512 at most',
);
export const destination = form(
  'destination',
  isDestination,
  /^[a-z0-9][a-z0-9._-]*:[1-9][0-9]{0,4}$/,
  'a host name in lower case and a port, such as api.github.com:443; not an IP address, not localhost',
);
export const privateRange = form(
  'private range',
  isPrivateRange,
  /^[0-9a-f.:]+\/[0-9]{1,3}$/,
  'a range of private addresses without host bits, such as 10.2.0.0/16 or fd12:3456::/32',
);
export const ruleName = form(
  'name',
  (text) => /^[a-z0-9][a-z0-9-]{0,63}$/.test(text),
  /^[a-z0-9][a-z0-9-]{0,63}$/,
  'a name: lower-case letters, digits and "-"',
);
export const label = form(
  'label',
  (text) => LABEL.test(text),
  LABEL,
  'a label: a lower-case letter, then lower-case letters, digits, "_" and "-", 32 at most',
);
