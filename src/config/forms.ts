/** The forms of single values in configuration files, each with the sentence that a wrong one gets. */
import { z } from 'zod';
import { isScopeLiteral, isScopePattern } from '../core/delegation/scope.ts';
import { isBase64urlOf } from '../core/encoding/base64url.ts';
import { isIdPattern, isPrincipal, isTrustDomain } from '../core/spiffe-id.ts';

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };
const DURATION = /^([1-9][0-9]{0,8})(s|m|h|d)$/;

/** `90s`, `15m`, `2h`, `1d` to seconds. */
export const parseDuration = (text: string): number | undefined => {
  const match = DURATION.exec(text);
  return match === null ? undefined : Number(match[1]) * (UNIT_SECONDS[match[2] ?? ''] ?? Number.NaN);
};

export const duration = z
  .string()
  .regex(DURATION, 'a duration: a whole number and s, m, h or d, such as "15m"')
  .transform((text) => parseDuration(text) ?? Number.NaN);

const BYTES = /^([1-9][0-9]{0,11})(KiB|MiB|GiB)?$/;
const UNIT_BYTES: Readonly<Record<string, number>> = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };
export const bytes = z
  .string()
  .regex(BYTES, 'a size in octets: a whole number, with KiB, MiB or GiB behind it or nothing')
  .transform((text) => {
    const match = BYTES.exec(text);
    return Number(match?.[1]) * (UNIT_BYTES[match?.[2] ?? ''] ?? 1);
  });

/** Where to listen or connect: TCP or a unix socket. */
export type Address = { readonly host: string; readonly port: number } | { readonly path: string };

export const formatAddress = (address: Address): string =>
  'path' in address
    ? `unix:${address.path}`
    : `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;

const HOST_PORT = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):([0-9]{1,5})$/;
export const parseAddress = (text: string): Address | undefined => {
  if (text.startsWith('unix:')) return text.length > 5 ? { path: text.slice(5) } : undefined;
  const match = HOST_PORT.exec(text);
  const port = Number(match?.[3]);
  return match === null || port > 65_535 ? undefined : { host: match[1] ?? match[2] ?? '', port };
};

export const address = z
  .string()
  .refine((text) => parseAddress(text) !== undefined, 'an address: host:port, [ipv6]:port or unix:/path')
  .transform((text) => parseAddress(text) as Address);
export const tcpAddress = z
  .string()
  .refine(
    (text) => !text.startsWith('unix:') && parseAddress(text) !== undefined,
    'an address: host:port or [ipv6]:port',
  )
  .transform((text) => parseAddress(text) as { readonly host: string; readonly port: number });

/** A file, relative to the configuration file that names it. */
export const file = z.string().min(1, 'a file name');

export const trustDomain = z
  .string()
  .refine(isTrustDomain, 'a trust domain: lower-case letters, digits, ".", "_", "-"');
export const idPattern = z
  .string()
  .refine(
    isIdPattern,
    'an agent ID such as spiffe://company.com/agent/inventory/1, or a type: …/agent/inventory/*',
  );
export const principal = z
  .string()
  .refine(isPrincipal, 'a principal: a URI such as mailto:alice@company.com');
export const scopePattern = z
  .string()
  .refine(isScopePattern, 'a scope pattern such as cloud:read, cloud:* or ec2:Describe*');
export const scopeName = z.string().refine(isScopeLiteral, 'a scope name such as infrastructure:review');
export const thumbprint = z
  .string()
  .refine((text) => isBase64urlOf(text, 32), 'a key thumbprint: 43 characters of base64url');
export const agentType = z.string().regex(/^[A-Za-z0-9._-]+$/, 'an agent type, such as planning');
export const host = z
  .string()
  .regex(
    /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/,
    'a host name in lower case, without a port',
  )
  .refine((name) => !/^[0-9.]+$/.test(name), 'a host name, not an IP address');
