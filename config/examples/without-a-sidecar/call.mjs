#!/usr/bin/env node
// Calls a Hopgate sidecar from a program that has none: docs/without-a-sidecar.md.
//
//   npm install jose http-message-signatures
//   node call.mjs --identity agents/batch-1 --trust root/ca.pem --chain task.chain \
//     --callee spiffe://company.com/agent/inventory/1 https://inventory.company.com:14443/ec2/DescribeInstances
//
// With --data the request is a POST with that body, of --type.
import { createPrivateKey, createPublicKey, hash, randomBytes, sign } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { connect } from 'node:tls';
import { parseArgs } from 'node:util';
import { httpbis } from 'http-message-signatures';
import { calculateJwkThumbprint, decodeJwt, exportJWK } from 'jose';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    identity: { type: 'string' },
    trust: { type: 'string' },
    chain: { type: 'string' },
    callee: { type: 'string' },
    data: { type: 'string' },
    type: { type: 'string', default: 'application/json' },
  },
});
const url = new URL(positionals[0]);
const file = (name) => readFileSync(join(options.identity, name), 'utf8');

/** The CA certificates of the trust domain: PEM, or the roles.jws that `hopgate join` has verified and written. */
const authorities = () => {
  const content = readFileSync(options.trust, 'utf8').trim();
  if (content.startsWith('-----BEGIN')) return content;
  const pem = (der) =>
    `-----BEGIN CERTIFICATE-----\n${Buffer.from(der, 'base64url').toString('base64')}\n-----END CERTIFICATE-----`;
  return decodeJwt(content).x509.map(pem).join('\n');
};

const wit = file('wit.jwt').trim();
const agentKey = createPrivateKey(file('agent.key'));
const claims = decodeJwt(wit);
const thumbprint = await calculateJwkThumbprint(await exportJWK(createPublicKey(agentKey)));
if ((await calculateJwkThumbprint(claims.cnf.jwk)) !== thumbprint)
  throw new Error('wit.jwt is not for agent.key');
if (claims.exp * 1000 < Date.now()) throw new Error('wit.jwt has expired');

// The connection comes first: what is signed is signed for it alone.
const socket = connect({
  host: url.hostname,
  port: Number(url.port || 443),
  cert: file('svid.pem'),
  key: file('svid.key'),
  ca: authorities(),
  minVersion: 'TLSv1.3',
  ALPNProtocols: ['http/1.1'],
  // A SPIFFE ID and no host name says who answers: exactly this one, and nothing besides.
  checkServerIdentity: (_host, { subjectaltname }) =>
    subjectaltname === `URI:${options.callee}`
      ? undefined
      : new Error(`${options.callee} is expected, ${subjectaltname} answers`),
});
await once(socket, 'secureConnect');
const exporter = socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0));

const body = options.data;
const headers = {
  'Workload-Identity-Token': wit,
  'Hopgate-Channel': exporter.toString('base64url'),
  'Delegation-Chain': readFileSync(options.chain, 'utf8').trim(),
  ...(body !== undefined && {
    'Content-Type': options.type,
    'Content-Digest': `sha-256=:${hash('sha256', body, 'base64')}:`,
  }),
};
const method = body === undefined ? 'GET' : 'POST';
const now = Math.floor(Date.now() / 1000);
const signed = await httpbis.signMessage(
  {
    name: 'wimse',
    key: { sign: async (base) => sign(null, base, agentKey) },
    fields: [
      '@method',
      '@authority',
      '@request-target',
      ...Object.keys(headers).map((name) => name.toLowerCase()),
    ],
    params: ['created', 'expires', 'nonce', 'tag', 'wimse-aud'],
    paramValues: {
      created: new Date(now * 1000),
      expires: new Date((now + 20) * 1000),
      nonce: randomBytes(16).toString('base64url'),
      tag: 'wimse-workload-to-workload',
      'wimse-aud': options.callee,
    },
  },
  { method, url, headers },
);

const request = httpsRequest(url, { method, headers: signed.headers, createConnection: () => socket });
request.end(body);
const [response] = await once(request, 'response');
console.log(await text(response));
socket.destroy();
process.exitCode = response.statusCode < 400 ? 0 : 1;
