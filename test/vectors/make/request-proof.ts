/** Requests that prove themselves: the planner asks the inventory, on a connection with this exporter. */
import { hash } from 'node:crypto';
import { type Case, NOW } from './case.ts';
import { EXPORTER } from './handshake-world.ts';
import { b64u, type Key, key, octets } from './signing.ts';
import { AUDITOR, INVENTORY, issuersOf, PLANNER, rotated, wit } from './world.ts';

type Headers = Readonly<Record<string, string | undefined>>;

export const sha256Digest = (body: string): string => `sha-256=:${hash('sha256', body, 'base64')}:`;

interface Plan {
  readonly method?: string;
  readonly target?: string;
  readonly authority?: string;
  /** Beside or in place of those that each request has; undefined leaves one out. */
  readonly headers?: Headers;
  readonly body?: string;
  readonly by?: Key;
  /** Parameters that differ, as they stand; undefined leaves one out. */
  readonly parameters?: Headers;
  /** What is covered, in order. */
  readonly components?: readonly string[];
  readonly label?: string;
}

interface Sent {
  readonly method: string;
  readonly authority: string;
  readonly target: string;
  readonly headers: Record<string, string>;
  readonly body?: string | undefined;
}

const given = (members: Headers): Record<string, string> =>
  Object.fromEntries(
    Object.entries(members).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );

const COVERED = [
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

/** Signs what the plan says, whatever that is. */
export const send = (plan: Plan = {}): Sent => {
  const {
    method = 'GET',
    target = '/ec2/DescribeInstances?page=2',
    authority = 'inventory:14443',
    body,
  } = plan;
  const headers = given({
    'workload-identity-token': wit(PLANNER),
    'hopgate-channel': b64u(EXPORTER),
    'delegation-chain': 'chain',
    ...(body !== undefined && { 'content-digest': sha256Digest(body) }),
    ...plan.headers,
  });
  const components = plan.components ?? [
    '@method',
    '@authority',
    '@request-target',
    ...COVERED.filter((name) => name in headers),
  ];
  const parameters = given({
    created: String(NOW),
    expires: String(NOW + 20),
    nonce: '"a-nonce-of-one-request"',
    tag: '"wimse-workload-to-workload"',
    'wimse-aud': `"${INVENTORY.id}"`,
    ...plan.parameters,
  });
  const derived: Headers = {
    '@method': method,
    '@authority': authority.toLowerCase().replace(/:443$/, ''),
    '@request-target': target,
  };
  const list = components.map((name) => `"${name}"`).join(' ');
  const text = `(${list})${Object.entries(parameters)
    .map(([name, value]) => `;${name}=${value}`)
    .join('')}`;
  const base = [
    ...components.map((name) => `"${name}": ${derived[name] ?? headers[name] ?? ''}`),
    `"@signature-params": ${text}`,
  ].join('\n');
  const signature = (plan.by ?? PLANNER.key).sign(Buffer.from(base)).toString('base64');
  const { label = 'wimse' } = plan;
  return {
    method,
    authority,
    target,
    headers: { ...headers, 'signature-input': `${label}=${text}`, signature: `${label}=:${signature}:` },
    body,
  };
};

interface Around {
  readonly now?: number;
  readonly startedAt?: number;
  readonly exporter?: Uint8Array;
  readonly peer?: string;
  readonly own?: { readonly id: string; readonly key: Key };
  readonly seenNonces?: readonly string[];
  readonly issuers?: unknown;
  /** Header lines behind the others. */
  readonly more?: readonly string[];
}

const proves = (comment: string, reason: string, sent: Sent, around: Around = {}, proven = PLANNER): Case => {
  const {
    now = NOW,
    startedAt = NOW - 3600,
    exporter = EXPORTER,
    peer = PLANNER.id,
    own = INVENTORY,
  } = around;
  const { method, authority, target, headers, body } = sent;
  return {
    comment,
    source: '12.1',
    now,
    input: {
      own: { id: own.id, jwk: own.key.jwk },
      peer,
      exporter: b64u(exporter),
      startedAt,
      issuers: around.issuers ?? issuersOf(),
      ...(around.seenNonces && { seenNonces: around.seenNonces }),
      request: {
        method,
        target,
        headers: ['Host', authority, ...Object.entries(headers).flat(), ...(around.more ?? [])],
        ...(body !== undefined && { body }),
      },
    },
    expect: reason === 'ok' ? { reason, sub: proven.id, jkt: proven.key.jkt } : { reason },
  };
};

const ONE = send();
const BODY = send({
  method: 'POST',
  body: '{"a":1}',
  headers: { 'content-type': 'application/json', 'delegation-grant': 'grant' },
});
const changed = (sent: Sent, edit: Partial<Sent>, headers: Headers = {}): Sent => ({
  ...sent,
  ...edit,
  headers: given({ ...sent.headers, ...headers }),
});
const NEXT = rotated(PLANNER);

const good = (): Case[] => [
  proves('a request without a body', 'ok', ONE),
  proves('a request with a body, its type and a grant', 'ok', BODY),
  proves(
    'everything that is signed when it is there',
    'ok',
    send({
      headers: {
        'delegation-grant': 'grant',
        'delegation-labels': 'pii finance',
        'content-type': 'text/plain',
        authorization: 'Bearer of something',
        'txn-token': 'a.b.c',
      },
      body: 'x',
    }),
  ),
  proves(
    'SHA-512',
    'ok',
    send({ headers: { 'content-digest': `sha-512=:${hash('sha512', 'x', 'base64')}:` }, body: 'x' }),
  ),
  proves(
    'both digests',
    'ok',
    send({
      headers: { 'content-digest': `${sha256Digest('x')}, sha-512=:${hash('sha512', 'x', 'base64')}:` },
      body: 'x',
    }),
  ),
  proves('a digest of no body', 'ok', send({ headers: { 'content-digest': sha256Digest('') } })),
  proves(
    'no chain: that is for the next stage to refuse',
    'ok',
    send({ headers: { 'delegation-chain': undefined } }),
  ),
  proves('an authority in capitals and with the port of https', 'ok', send({ authority: 'Inventory:443' })),
  proves(
    'components in another order',
    'ok',
    send({
      components: [
        'delegation-chain',
        '@request-target',
        'hopgate-channel',
        '@method',
        'workload-identity-token',
        '@authority',
      ],
    }),
  ),
  proves('30 s', 'ok', send({ parameters: { expires: String(NOW + 30) } })),
  proves('over for 29 s', 'ok', ONE, { now: NOW + 49 }),
  proves('from the future by 30 s', 'ok', ONE, { now: NOW - 30 }),
  proves('made in the second in which we began', 'ok', ONE, { startedAt: NOW }),
  proves('other nonces were used', 'ok', ONE, { seenNonces: ['another-nonce-of-one'] }),
  proves(
    'a rotated key, by its own WIT',
    'ok',
    send({ by: NEXT.key, headers: { 'workload-identity-token': wit(NEXT) } }),
    {},
    NEXT,
  ),
  proves('names of headers in capitals', 'ok', {
    ...ONE,
    headers: Object.fromEntries(
      Object.entries(ONE.headers).map(([name, value]) => [name.toUpperCase(), value]),
    ),
  }),
];

const missing = (): Case[] => [
  ...['signature-input', 'signature', 'workload-identity-token', 'hopgate-channel'].map((name) =>
    proves(`no ${name}`, 'request_proof_missing', changed(ONE, {}, { [name]: undefined })),
  ),
  proves('a header twice', 'http_header_duplicate', ONE, {
    more: ['Signature', ONE.headers.signature ?? ''],
  }),
  proves('two chains', 'http_header_duplicate', ONE, { more: ['Delegation-Chain', 'chain'] }),
  proves('a header in another spelling', 'http_header_duplicate', ONE, {
    more: ['content_digest', sha256Digest('')],
  }),
];

const INPUT = ONE.headers['signature-input'] ?? '';
const malformed = (comment: string, from: string | RegExp, to: string): Case =>
  proves(
    comment,
    'request_proof_malformed',
    changed(ONE, {}, { 'signature-input': INPUT.replace(from, to) }),
  );

const forms = (): Case[] => [
  proves('another label', 'request_proof_malformed', send({ label: 'sig1' })),
  malformed('two signatures', /$/, ', sig1=("@method");created=1'),
  malformed('a component twice', '"@method"', '"@method" "@method"'),
  malformed('a component with a parameter', '"@method"', '"@method";req'),
  malformed('a component that is no string', '"@method"', '@method'),
  malformed('a component in capitals', '"@method"', '"@Method"'),
  malformed('two spaces between components', '" "', '"  "'),
  malformed('no component', /\(.*\)/, '()'),
  malformed('no list', /\(.*\)/, '"@method"'),
  ...['created', 'expires', 'nonce', 'tag', 'wimse-aud'].map((name) =>
    proves(`no ${name}`, 'request_proof_malformed', send({ parameters: { [name]: undefined } })),
  ),
  proves('a key id', 'request_proof_malformed', send({ parameters: { keyid: `"${PLANNER.key.jkt}"` } })),
  proves('an algorithm', 'request_proof_malformed', send({ parameters: { alg: '"ed25519"' } })),
  proves(
    'a signed response is wanted',
    'request_proof_malformed',
    send({ parameters: { 'wimse-sign-response': '?1' } }),
  ),
  malformed('a parameter twice', /$/, `;created=${NOW}`),
  malformed('a parameter without value', /$/, ';wimse-sign-response'),
  malformed('a space behind a semicolon', ';expires', '; expires'),
  proves('another tag', 'request_proof_malformed', send({ parameters: { tag: '"web-bot-auth"' } })),
  proves('a fraction of a second', 'request_proof_malformed', send({ parameters: { created: `${NOW}.0` } })),
  proves(
    'a time with a leading zero',
    'request_proof_malformed',
    send({ parameters: { created: `0${NOW}` } }),
  ),
  proves('a negative time', 'request_proof_malformed', send({ parameters: { created: `-${NOW}` } })),
  proves('a time as text', 'request_proof_malformed', send({ parameters: { created: `"${NOW}"` } })),
  proves(
    'a time after the year 9999',
    'request_proof_malformed',
    send({ parameters: { expires: '253402300800' } }),
  ),
  proves(
    'a nonce of 15 characters',
    'request_proof_malformed',
    send({ parameters: { nonce: '"fifteen-chars-x"' } }),
  ),
  proves(
    'a nonce of 65 characters',
    'request_proof_malformed',
    send({ parameters: { nonce: `"${'n'.repeat(65)}"` } }),
  ),
  proves(
    'a nonce with a space',
    'request_proof_malformed',
    send({ parameters: { nonce: '"a nonce of one request"' } }),
  ),
  proves(
    'a nonce with an escape',
    'request_proof_malformed',
    send({ parameters: { nonce: '"a-nonce-of-one-\\"request"' } }),
  ),
  proves(
    'a Signature-Input of more than 4096 octets',
    'request_proof_malformed',
    send({ parameters: { 'wimse-aud': `"spiffe://${'a'.repeat(4096)}"` } }),
  ),
  ...(
    [
      ['a signature of 63 octets', `wimse=:${Buffer.alloc(63, 1).toString('base64')}:`],
      ['a signature in base64url', `wimse=:${'_'.repeat(85)}w==:`],
      ['a signature without padding', `wimse=:${'A'.repeat(86)}:`],
      ['a signature whose last character has unused bits', `wimse=:${'A'.repeat(85)}B==:`],
      ['a signature with a parameter', `${ONE.headers.signature};a`],
      ['two signatures for one input', `${ONE.headers.signature}, sig1=:AAAA:`],
    ] as const
  ).map(([comment, signature]) =>
    proves(comment, 'request_proof_malformed', changed(ONE, {}, { signature })),
  ),
];

const WITHOUT = (name: string): readonly string[] =>
  [
    '@method',
    '@authority',
    '@request-target',
    'workload-identity-token',
    'hopgate-channel',
    'delegation-chain',
  ].filter((one) => one !== name);

const covered = (): Case[] => [
  ...[
    '@method',
    '@authority',
    '@request-target',
    'workload-identity-token',
    'hopgate-channel',
    'delegation-chain',
  ].map((name) =>
    proves(`${name} not signed`, 'request_proof_components', send({ components: WITHOUT(name) })),
  ),
  proves(
    'a header more is signed',
    'request_proof_components',
    send({ headers: { accept: '*/*' }, components: [...WITHOUT(''), 'accept'] }),
  ),
  proves(
    'a header is signed that is not there',
    'request_proof_components',
    send({ components: [...WITHOUT(''), 'delegation-grant'] }),
  ),
  proves(
    'a grant taken away',
    'request_proof_components',
    changed(BODY, {}, { 'delegation-grant': undefined }),
  ),
  proves('a grant added', 'request_proof_components', changed(ONE, {}, { 'delegation-grant': 'grant' })),
  proves(
    'a chain taken away',
    'request_proof_components',
    changed(ONE, {}, { 'delegation-chain': undefined }),
  ),
  proves('labels added', 'request_proof_components', changed(ONE, {}, { 'delegation-labels': 'pii' })),
  proves('credentials added', 'request_proof_components', changed(ONE, {}, { authorization: 'Bearer x' })),
  proves(
    'a digest taken away',
    'request_proof_components',
    changed(BODY, {}, { 'content-digest': undefined }),
  ),
  proves('an authority that is none', 'request_proof_components', send({ authority: 'inventory/admin' })),
  proves('no authority', 'request_proof_components', send({ authority: '' })),
  proves('an empty value', 'request_proof_components', send({ headers: { authorization: '' } })),
  proves(
    'a value beyond ASCII',
    'request_proof_components',
    send({ headers: { authorization: 'Bearer é' } }),
  ),
];

const altered = (): Case[] => [
  proves('another method', 'request_proof_signature', changed(ONE, { method: 'DELETE' })),
  proves(
    'another path',
    'request_proof_signature',
    changed(ONE, { target: '/ec2/TerminateInstances?page=2' }),
  ),
  proves(
    'another query',
    'request_proof_signature',
    changed(ONE, { target: '/ec2/DescribeInstances?page=3' }),
  ),
  proves('no query', 'request_proof_signature', changed(ONE, { target: '/ec2/DescribeInstances' })),
  proves('another authority', 'request_proof_signature', changed(ONE, { authority: 'billing:14443' })),
  proves('another chain', 'request_proof_signature', changed(ONE, {}, { 'delegation-chain': 'chair' })),
  proves('another grant', 'request_proof_signature', changed(BODY, {}, { 'delegation-grant': 'grand' })),
  proves('another media type', 'request_proof_signature', changed(BODY, {}, { 'content-type': 'text/html' })),
  proves(
    'another digest and body',
    'request_proof_signature',
    changed(BODY, { body: '{"a":2}' }, { 'content-digest': sha256Digest('{"a":2}') }),
  ),
  proves(
    'a nonce changed',
    'request_proof_signature',
    changed(ONE, {}, { 'signature-input': INPUT.replace('a-nonce', 'b-nonce') }),
  ),
  proves(
    'times changed',
    'request_proof_signature',
    changed(ONE, {}, { 'signature-input': INPUT.replace(`expires=${NOW + 20}`, `expires=${NOW + 21}`) }),
  ),
  proves('signed by another key', 'request_proof_signature', send({ by: AUDITOR.key })),
  proves(
    'a signature of zeros',
    'request_proof_signature',
    changed(ONE, {}, { signature: `wimse=:${Buffer.alloc(64).toString('base64')}:` }),
  ),
  proves('another body', 'request_proof_digest', changed(BODY, { body: '{"a":2}' })),
  proves('a body without a digest', 'request_proof_digest', changed(ONE, { body: 'x' })),
  proves('a body taken away', 'request_proof_digest', changed(BODY, { body: undefined })),
  ...(
    [
      ['a digest of MD5', `md5=:${hash('md5', 'x', 'base64')}:`],
      ['a digest that nobody knows beside a good one', `${sha256Digest('x')}, sha-3=:AAAA:`],
      ['the same digest twice', `${sha256Digest('x')}, ${sha256Digest('x')}`],
      ['no space between digests', `${sha256Digest('x')},sha-512=:${hash('sha512', 'x', 'base64')}:`],
      ['a digest that is too short', 'sha-256=:AAAA:'],
      ['a digest with a parameter', `${sha256Digest('x')};q=1`],
      ['a good digest and a wrong one', `${sha256Digest('x')}, sha-512=:${hash('sha512', 'y', 'base64')}:`],
    ] as const
  ).map(([comment, digest]) =>
    proves(comment, 'request_proof_digest', send({ headers: { 'content-digest': digest }, body: 'x' })),
  ),
];

const elsewhere = (): Case[] => [
  proves(
    'for another agent',
    'request_proof_audience',
    send({ parameters: { 'wimse-aud': `"${AUDITOR.id}"` } }),
  ),
  proves(
    'for our type',
    'request_proof_audience',
    send({ parameters: { 'wimse-aud': '"spiffe://company.com/agent/inventory/*"' } }),
  ),
  proves(
    'for our address',
    'request_proof_audience',
    send({ parameters: { 'wimse-aud': '"https://inventory:14443"' } }),
  ),
  proves('for 31 s', 'request_proof_ttl', send({ parameters: { expires: String(NOW + 31) } })),
  proves('for no time', 'request_proof_ttl', send({ parameters: { expires: String(NOW) } })),
  proves('backwards', 'request_proof_ttl', send({ parameters: { expires: String(NOW - 1) } })),
  proves('over', 'request_proof_expired', ONE, { now: NOW + 50 }),
  proves('from the future', 'request_proof_not_yet_valid', ONE, { now: NOW - 31 }),
  proves('made before we began', 'request_proof_before_start', ONE, { startedAt: NOW + 1 }),
  proves('on another connection', 'request_proof_channel', ONE, { exporter: octets('another exporter') }),
  proves(
    'another exporter, signed',
    'request_proof_channel',
    send({ headers: { 'hopgate-channel': b64u(octets('another exporter')) } }),
  ),
  proves('a nonce that was used', 'request_proof_replayed', ONE, { seenNonces: ['a-nonce-of-one-request'] }),
  proves(
    'the WIT and key of another than the SVID',
    'wit_not_svid',
    send({ by: AUDITOR.key, headers: { 'workload-identity-token': wit(AUDITOR) } }),
  ),
  proves(
    'the WIT of another, who has the SVID',
    'request_proof_signature',
    send({ headers: { 'workload-identity-token': wit(AUDITOR) } }),
    { peer: AUDITOR.id },
  ),
  proves(
    'our own WIT and key',
    'hs_reflection',
    send({ by: INVENTORY.key, headers: { 'workload-identity-token': wit(INVENTORY) } }),
    { peer: INVENTORY.id },
  ),
  proves(
    'a WIT that has expired',
    'wit_expired',
    send({ headers: { 'workload-identity-token': wit(PLANNER, { exp: NOW - 30 }) } }),
  ),
  proves(
    'a WIT by nobody',
    'wit_issuer_unknown',
    send({ headers: { 'workload-identity-token': wit(PLANNER, {}, key('nobody')) } }),
  ),
  proves('a WIT that is none', 'jws_structure', send({ headers: { 'workload-identity-token': 'a.b' } })),
];

export const requestProofCases = (): Case[] => [
  ...good(),
  ...missing(),
  ...forms(),
  ...covered(),
  ...altered(),
  ...elsewhere(),
];
