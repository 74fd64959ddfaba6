/**
 * What a user would build behind `auth_request` or ext_authz: a Node service with jose that verifies the chain of each request and
 * decides. It gets what a sidecar has: anchors, issuers, revocations, routes. With `--remember` it keeps what it has verified, by
 * the chain's text, and looks at times and revocations only. Run as `authorizer.ts FACTS.json LOG [--remember]`.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, compactVerify, importJWK } from 'jose';
import { LRUCache } from 'lru-cache';
import pino from 'pino';

export interface AuthorizerFacts {
  readonly trustDomain: string;
  /** By thumbprint URN. */
  readonly anchors: Readonly<
    Record<
      string,
      {
        readonly x: string;
        readonly principals: readonly string[];
        readonly scope: readonly string[];
        readonly maxTtl: number;
      }
    >
  >;
  /** By thumbprint; `x`. */
  readonly issuers: Readonly<Record<string, string>>;
  readonly revoked: readonly string[];
  readonly maxDepth: number;
  readonly routes: readonly { readonly method: string; readonly path: string; readonly scope: string }[];
}

interface Link {
  readonly text: string;
  /** SHA-256 of the signing input. */
  readonly id: string;
  readonly iss?: string;
  readonly sub?: string;
  readonly par_hash?: string;
  readonly kb?: { readonly exp: number; readonly kid: string; readonly sig: string };
  readonly act: { readonly sub: string };
  readonly cnf: { readonly jwk: { readonly kty: string; readonly crv: string; readonly x: string } };
  readonly aud: readonly string[];
  readonly iat: number;
  readonly exp: number;
  readonly scope: readonly string[];
  readonly max_depth: number;
}

const [factsFile = '', logFile = '', remember] = process.argv.slice(2);
const facts = JSON.parse(readFileSync(factsFile, 'utf8')) as AuthorizerFacts;
const log = pino(pino.destination({ dest: logFile, sync: false, minLength: 4096 }));
const revoked = new Set(facts.revoked);
const routes = facts.routes.map(({ method, path, scope }) => ({ method, path: new RegExp(path), scope }));
const keys = new LRUCache<string, CryptoKey>({ max: 10_000 });
const callers = new LRUCache<string, string>({ max: 10_000 });
const verified = new LRUCache<string, readonly Link[]>({ max: 10_000 });

const refuse = (why: string): never => {
  throw new Error(why);
};
const demand = (fact: boolean, why: string): void => {
  if (!fact) refuse(why);
};
const sha256 = (text: string): string => createHash('sha256').update(text).digest('base64url');

const keyOf = async (x: string): Promise<CryptoKey> => {
  const known = keys.get(x);
  if (known !== undefined) return known;
  const key = (await importJWK({ kty: 'OKP', crv: 'Ed25519', x, alg: 'Ed25519' })) as CryptoKey;
  keys.set(x, key);
  return key;
};

const covers = (wide: string, narrow: string): boolean =>
  wide === narrow || (wide.endsWith('*') && narrow.startsWith(wide.slice(0, -1)));
const allCovered = (wide: readonly string[], narrow: readonly string[]): boolean =>
  narrow.every((scope) => wide.some((candidate) => covers(candidate, scope)));

const readLink = (text: string): Link => {
  const [header = '', payload = ''] = text.split('.');
  return {
    ...JSON.parse(Buffer.from(payload, 'base64url').toString()),
    text,
    id: sha256(`${header}.${payload}`),
  };
};

const verifyKeyBinding = async (link: Link, parent: Link): Promise<void> => {
  const { kb } = link;
  if (kb === undefined) return refuse('no key binding');
  demand(kb.exp > link.iat, 'key binding has ended');
  const issuer = facts.issuers[kb.kid] ?? refuse('unknown issuer');
  const header = JSON.stringify({ alg: 'Ed25519', kid: kb.kid, typ: 'kb+jwt' });
  const { x } = parent.cnf.jwk;
  const jkt = sha256(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`);
  const payload = JSON.stringify({ exp: kb.exp, jkt, sub: parent.act.sub });
  const [head, body] = [header, payload].map((part) => Buffer.from(part).toString('base64url'));
  await compactVerify(`${head}.${body}.${kb.sig}`, await keyOf(issuer));
};

const verifyLinks = async (text: string): Promise<readonly Link[]> => {
  const links = text.split('~').map(readLink);
  demand(links.length <= facts.maxDepth, 'too deep');
  for (const [at, link] of links.entries()) {
    const parent = links[at - 1];
    demand(link.aud.includes(facts.trustDomain), 'for another domain');
    demand(links.length <= link.max_depth, 'too deep');
    if (parent === undefined) {
      const anchor = facts.anchors[link.iss ?? ''] ?? refuse('unknown anchor');
      demand(anchor.principals.includes(link.sub ?? ''), 'another principal');
      demand(
        allCovered(anchor.scope, link.scope) && link.exp - link.iat <= anchor.maxTtl,
        'beyond its anchor',
      );
      await compactVerify(link.text, await keyOf(anchor.x));
      continue;
    }
    demand(link.par_hash === parent.id, 'another parent');
    demand(link.iat >= parent.iat && link.exp <= parent.exp, 'outlives its parent');
    demand(
      allCovered(parent.scope, link.scope) && link.max_depth <= parent.max_depth,
      'wider than its parent',
    );
    await verifyKeyBinding(link, parent);
    await compactVerify(link.text, await keyOf(parent.cnf.jwk.x));
  }
  return links;
};

const linksOf = async (text: string): Promise<readonly Link[]> => {
  const known = verified.get(text);
  if (known !== undefined) return known;
  const links = await verifyLinks(text);
  if (remember !== undefined) verified.set(text, links);
  return links;
};

/** The caller's SPIFFE ID, from what the proxy says of the certificate that it has verified. */
const callerOf = (headers: IncomingHttpHeaders): string => {
  const escaped = headers['x-client-cert'];
  const forwarded = headers['x-forwarded-client-cert'];
  if (typeof escaped !== 'string')
    return /URI=([^;,]+)/.exec(String(forwarded ?? ''))?.[1] ?? refuse('no client certificate');
  const known = callers.get(escaped);
  if (known !== undefined) return known;
  const names = new X509Certificate(decodeURIComponent(escaped)).subjectAltName ?? '';
  const caller = /URI:([^,]+)/.exec(names)?.[1] ?? refuse('no SPIFFE ID');
  callers.set(escaped, caller);
  return caller;
};

const authorize = async (headers: IncomingHttpHeaders, method: string, target: string) => {
  const caller = callerOf(headers);
  const links = await linksOf(String(headers['delegation-chain'] ?? refuse('no chain')));
  const now = Date.now() / 1000;
  demand(links.at(-1)?.act.sub === caller, 'the leaf names another caller');
  for (const { id, iat, exp, act, cnf } of links) {
    demand(now < exp && iat <= now + 30, 'out of its time');
    demand(!revoked.has(id) && !revoked.has(act.sub) && !revoked.has(cnf.jwk.x), 'revoked');
  }
  const route = routes.find((one) => one.method === method && one.path.test(target)) ?? refuse('no route');
  const scope = target.replace(route.path, route.scope);
  demand(
    links.every((link) => allCovered(link.scope, [scope])),
    'out of scope',
  );
  return { caller, scope, links: links.map(({ id }) => id), principal: links[0]?.sub };
};

const server = createServer((request, response) => {
  const { headers } = request;
  const method = String(headers['x-original-method'] ?? request.method);
  const target = String(headers['x-original-uri'] ?? request.url);
  authorize(headers, method, target).then(
    (facts) => {
      log.info({ ...facts, method, target }, 'allowed');
      response.writeHead(200, { 'content-length': 0 }).end();
    },
    (error: Error) => {
      log.info({ method, target, why: error.message }, 'denied');
      response.writeHead(403, { 'content-length': 0 }).end();
    },
  );
});
server.keepAliveTimeout = 3_600_000;
server.listen(0, '127.0.0.1', () => process.send?.(server.address() as AddressInfo));
process.on('SIGTERM', () => process.exit(0));
