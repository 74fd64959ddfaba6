/** Chains and credentials of a test domain with any fault in them. Nothing here checks anything. */
import { createHash } from 'node:crypto';
import { mintKeyBinding } from '../../src/core/trust/wit.ts';
import { makeSigningKey, type SigningKey } from '../../src/edge/keys/signing-key.ts';
import { agentIdOf, type TestAgent, type TestDomain } from './domain.ts';
import { type Claims, signCompact } from './raw-peer.ts';

type Sign = (message: Buffer) => Buffer;

export const LINK_HEADER = '{"alg":"Ed25519","typ":"dlink+jwt"}';
export const b64u = (octets: Uint8Array | string): string => Buffer.from(octets).toString('base64url');
export const linkId = (text: string): string =>
  createHash('sha256')
    .update(text.slice(0, text.lastIndexOf('.')))
    .digest('base64url');
const jwk = (x: string) => ({ kty: 'OKP', crv: 'Ed25519', x });

/** Who stands in a chain, as far as a link needs to know. */
export type Delegatee = Pick<TestAgent, 'id' | 'x' | 'thumbprint' | 'sign' | 'keyBinding'>;

/** An agent that has a key of its own making, with a binding by the domain's issuer unless another is given. */
export const invent = (
  domain: TestDomain,
  name: string,
  {
    key = makeSigningKey(),
    issuer = domain.issuer,
    kid = issuer.thumbprint,
    exp = domain.now + 3600,
  }: {
    key?: Pick<SigningKey, 'x' | 'thumbprint' | 'sign'>;
    issuer?: SigningKey;
    kid?: string;
    exp?: number;
  } = {},
): Delegatee => {
  const id = agentIdOf(domain.trustDomain, name);
  return {
    id,
    x: key.x,
    thumbprint: key.thumbprint,
    sign: key.sign,
    keyBinding: mintKeyBinding(id, key.x, exp, issuer.sign, kid),
  };
};

export interface LinkFault {
  /** Merged into the claims; `undefined` takes a member out. */
  readonly edit?: Claims;
  readonly sign?: Sign;
  readonly header?: string;
  /** The payload's octets instead of the claims' JSON. */
  readonly payload?: (json: string) => Uint8Array | string;
  /** The finished link. */
  readonly text?: (link: string) => string;
}

export interface ForgeOptions {
  readonly principal?: string;
  readonly scope?: readonly string[];
  readonly all?: Claims;
  /** By place: 0 is the root. */
  readonly at?: Readonly<Record<number, LinkFault>>;
}

/** The links of a chain through `line`. */
export const forgeLinks = (
  domain: TestDomain,
  line: readonly Delegatee[],
  { principal, scope = ['cloud:read'], all = {}, at = {} }: ForgeOptions = {},
): string[] => {
  const links: string[] = [];
  for (const [index, to] of line.entries()) {
    const from = line[index - 1];
    const anchor = domain.principal(principal);
    const {
      edit = {},
      sign,
      header = LINK_HEADER,
      payload = (json: string) => json,
      text = (link: string) => link,
    } = at[index] ?? {};
    const head =
      from === undefined
        ? { iss: `urn:ietf:params:oauth:jwk-thumbprint:sha-256:${anchor.thumbprint}`, sub: anchor.uri }
        : { par_hash: linkId(links[index - 1] ?? ''), kb: from.keyBinding };
    const claims = {
      ...head,
      act: { sub: to.id },
      cnf: { jwk: jwk(to.x) },
      aud: [domain.trustDomain],
      jti: createHash('sha256')
        .update(`${index} ${to.id} ${process.hrtime.bigint()}`)
        .digest('base64url')
        .slice(0, 22),
      iat: domain.now,
      exp: domain.now + 3600,
      scope,
      max_depth: 5,
      ...all,
      ...edit,
    };
    links.push(text(signCompact(header, payload(JSON.stringify(claims)), sign ?? from?.sign ?? anchor.sign)));
  }
  return links;
};

export const forgeChain = (domain: TestDomain, line: readonly Delegatee[], options?: ForgeOptions): string =>
  forgeLinks(domain, line, options).join('~');

/** The same link with another signature. */
export const resign = (link: string, change: (signature: Buffer) => Uint8Array): string => {
  const end = link.lastIndexOf('.') + 1;
  return link.slice(0, end) + b64u(change(Buffer.from(link.slice(end), 'base64url')));
};

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
/** Another spelling of the same octets: an unused bit of the last character is set. */
export const respell = (text: string): string =>
  text.slice(0, -1) + ALPHABET.charAt(ALPHABET.indexOf(text.slice(-1)) + 1);
