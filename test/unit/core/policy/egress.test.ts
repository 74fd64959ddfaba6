/** What may leave the mesh: the list in a policy, its faults, and that nothing else of the policy leads out or in by it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CrossCheck, HopIndex } from '../../../../src/core/audit/cross-check.ts';
import { readRecordLine } from '../../../../src/core/audit/read-record.ts';
import { sealDecision, sealRecord } from '../../../../src/core/audit/record.ts';
import type { VerifiedChain } from '../../../../src/core/delegation/model.ts';
import type { JsonObject } from '../../../../src/core/encoding/json.ts';
import { lintPolicy } from '../../../../src/core/policy/analysis/lint.ts';
import { Replay } from '../../../../src/core/policy/analysis/replay.ts';
import {
  type Callee,
  type Destination,
  isDestination,
  splitDestination,
} from '../../../../src/core/policy/destination.ts';
import { compilePolicy } from '../../../../src/core/policy/evaluate.ts';
import { isPrivateRange } from '../../../../src/core/policy/private-range.ts';
import { readPolicy } from '../../../../src/core/policy/read.ts';
import { isAgentId } from '../../../../src/core/spiffe-id.ts';
import { permitted } from '../../../testkit/core-world.ts';
import { evaluatePolicy } from '../../../testkit/evaluate.ts';
import { decision, INVENTORY, outcome, PLANNING, SealedLog, sessionOf } from '../../../testkit/sealed-log.ts';

const LEAST = {
  revision: 'r1',
  limits: { maxDepth: 5, linkTtlSeconds: 7200, callbacks: false, humanRoot: true, sessionSeconds: 3600 },
  scopeSets: {},
  lists: { allowAgents: [], blockAgents: [], blockPrincipals: [] },
  routes: [{ name: 'anyone', path: '/*', scopes: ['cloud:read'] }],
  rules: [{ name: 'all', effect: 'allow' }],
};
const API = {
  name: 'chat',
  destination: 'api.llm.example:443',
  mode: 'api',
  path: '/v1/chat',
  scopes: ['llm:chat'],
};
const TUNNEL = {
  name: 'db',
  destination: 'db.partner.example:5432',
  mode: 'tunnel',
  methods: ['CONNECT'],
  path: '/',
  scopes: ['partner:query'],
};
const read = (...egress: object[]) => readPolicy({ ...LEAST, egress } as unknown as JsonObject);
const faultOf = (...egress: object[]): string => {
  const found = read(...egress);
  return found.ok ? 'none' : found.detail;
};

describe('a destination', () => {
  test.each([
    'api.github.com:443',
    'db:5432',
    'a.b-c.example:1',
    'x_y.example:65535',
    'xn--bcher-kva.example:443',
    '1.example:80',
  ])('%s is one', (text) => {
    expect(isDestination(text)).toBe(true);
    expect(isAgentId(text)).toBe(false);
    const { host, port } = splitDestination(text as Destination);
    expect(`${host}:${port}`).toBe(text);
  });
  test.each([
    'api.github.com',
    'api.github.com:0',
    'api.github.com:0443',
    'api.github.com:65536',
    'API.github.com:443',
    'api.github.com.:443',
    'api..github.com:443',
    '-api.example:443',
    'api-.example:443',
    '*.github.com:443',
    '127.0.0.1:443',
    '1.2.3:443',
    '2130706433:443',
    '0x7f.1:80',
    'example.0x7f:80',
    '[::1]:443',
    'localhost:443',
    'app.localhost:443',
    'localhost.localdomain:443',
    'user@api.github.com:443',
    'bücher.example:443',
    'api.github.com:443/path',
    'https://api.github.com:443',
    'api.github.com:443 ',
    `${'a'.repeat(64)}.example:443`,
    `${'a.'.repeat(127)}example:443`,
    '',
  ])('"%s" is none', (text) => {
    expect(isDestination(text)).toBe(false);
  });
});

describe('a private range', () => {
  test.each([
    '10.0.0.0/8',
    '10.2.0.0/16',
    '10.2.3.4/32',
    '172.16.0.0/12',
    '172.31.255.0/24',
    '192.168.0.0/16',
    '100.64.0.0/10',
    'fd00::/8',
    'fc00::/8',
    'fd12:3456::/32',
    'fd12:3456:789a::/48',
  ])('%s is one', (range) => {
    expect(isPrivateRange(range)).toBe(true);
  });
  test.each([
    '0.0.0.0/0',
    '10.0.0.0/7',
    '10.0.0.1/8',
    '127.0.0.0/8',
    '169.254.0.0/16',
    '172.0.0.0/8',
    '172.32.0.0/16',
    '192.168.0.0/15',
    '8.8.8.0/24',
    '10.0.0.0',
    '10.0.0.0/33',
    '010.0.0.0/8',
    '10.0.0/8',
    '::/0',
    'fc00::/7',
    'fe80::/10',
    '::1/128',
    '::ffff:10.0.0.0/104',
    '2000::/3',
    'fd12:3456::/16',
    'FD00::/8',
    'fd00::1/128',
  ])('%s is none', (range) => {
    expect(isPrivateRange(range)).toBe(false);
  });
});

describe('the list', () => {
  test('is read as it stands', () => {
    const policy = permitted(read({ ...API, allowPrivate: ['10.0.0.0/8'] }, { ...TUNNEL, inside: 'any' }));
    expect(policy.egress).toMatchObject([{ mode: 'api', allowPrivate: ['10.0.0.0/8'] }, { inside: 'any' }]);
  });
  test.each<[string, object[], string]>([
    ['an address', [{ ...API, destination: '127.0.0.1:443' }], 'destination'],
    ['callees', [{ ...API, callees: ['spiffe://company.com/agent/a/1'] }], 'not listed'],
    ['an end of observing', [{ ...API, observeUntil: 1_800_000_000 }], 'not listed'],
    ['no mode', [{ ...API, mode: undefined }], 'mode'],
    ['an unknown mode', [{ ...API, mode: 'both' }], 'mode'],
    ['no scope', [{ ...API, scopes: [] }], 'no scope'],
    ['a public range', [{ ...API, allowPrivate: ['8.8.8.0/24'] }], 'allowPrivate'],
    ['loopback', [{ ...API, allowPrivate: ['127.0.0.0/8'] }], 'allowPrivate'],
    ['CONNECT to an API', [{ ...API, methods: ['CONNECT'] }], 'never sent'],
    ['TRACE', [{ ...API, methods: ['GET', 'TRACE'] }], 'never sent'],
    ['what is inside an API', [{ ...API, inside: 'tls' }], 'for tunnels'],
    ['a path of a tunnel', [{ ...TUNNEL, path: '/x' }], 'no request is read'],
    ['methods of a tunnel', [{ ...TUNNEL, methods: ['GET'] }], 'no request is read'],
    ['a protocol of a tunnel', [{ ...TUNNEL, protocol: 'websocket' }], 'no request is read'],
    ['two of one name', [API, { ...TUNNEL, name: 'chat' }], 'defined twice'],
    ['the name of a route', [{ ...API, name: 'anyone' }], 'defined twice'],
    ['two tunnels to one', [TUNNEL, { ...TUNNEL, name: 'db-2' }], 'a tunnel already'],
    ['a tunnel around an API', [API, { ...TUNNEL, destination: API.destination }], 'lead around'],
    [
      'two answers to where it may be',
      [API, { ...API, name: 'b', allowPrivate: ['10.0.0.0/8'] }],
      'other ranges',
    ],
  ])('with %s is refused', (_what, egress, words) => {
    expect(faultOf(...JSON.parse(JSON.stringify(egress)))).toContain(words);
  });
  test('is linted like routes', () => {
    const policy = permitted(
      readPolicy({
        ...LEAST,
        egress: [
          { ...API, path: '/*' },
          { ...API, name: 'hidden' },
        ],
        rules: [
          { name: 'in', effect: 'allow', routes: ['anyone'] },
          { name: 'nobody', effect: 'allow', routes: ['chat'], callees: ['spiffe://company.com/agent/a/*'] },
        ],
      } as unknown as JsonObject),
    );
    const found = lintPolicy(policy, 0).map(({ code, path }) => `${code} ${path.join('.')}`);
    expect(found).toEqual(
      expect.arrayContaining(['route_unreachable egress.1', 'never_allowed egress.0', 'rule_dead rules.1']),
    );
  });
});

const chainOf = (scope: readonly string[]): VerifiedChain => {
  const link = { delegatee: PLANNING.id, scope, caveats: [], iat: 0, exp: 7200 };
  return {
    principal: 'mailto:alice@company.com',
    issuer: '',
    holder: { id: PLANNING.id },
    links: [link],
    leaf: link,
    root: link,
    depth: 1,
    task: 'task',
    exp: 7200,
  } as unknown as VerifiedChain;
};

describe('a request', () => {
  const compiled = compilePolicy(permitted(read(API, TUNNEL)));
  const ask = (callee: string, method: string, path: string, scope = ['llm:*', 'partner:*', 'cloud:*']) => {
    const found = evaluatePolicy(compiled, { callee: callee as Callee, method, path, chain: chainOf(scope) });
    return found.ok ? found.value.route.name : found.reason;
  };
  test('leaves by the entry of its destination alone, and comes in by none', () => {
    expect(ask('api.llm.example:443', 'POST', '/v1/chat')).toBe('chat');
    expect(ask('db.partner.example:5432', 'CONNECT', '/')).toBe('db');
    expect(ask('api.llm.example:443', 'GET', '/other')).toBe('route_unmatched');
    expect(ask('api.llm.example:8443', 'POST', '/v1/chat')).toBe('route_unmatched');
    expect(ask('db.partner.example:5432', 'GET', '/')).toBe('route_unmatched');
    expect(ask('api.llm.example:443', 'CONNECT', '/v1/chat')).toBe('route_unmatched');
    expect(ask('api.llm.example:443', 'TRACE', '/v1/chat')).toBe('route_unmatched');
    expect(ask(INVENTORY.id, 'POST', '/v1/chat')).toBe('anyone');
    expect(ask('api.llm.example:443', 'POST', '/v1/chat', ['llm:models'])).toBe('scope_missing');
  });
  test('to wherever it is leaves by nothing that isn’t listed', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('a.example:443', 'llm.example:443', 'api.llm.example:80', 'x:1'),
        fc.webPath(),
        (callee, path) => {
          expect(ask(callee, 'GET', path === '' ? '/' : path)).toBe('route_unmatched');
        },
      ),
    );
  });
});

describe('on record', () => {
  const left = {
    ...decision({ hop: `${sessionOf('one')}.1`, direction: 'outbound' }),
    callee: '',
    destination: 'api.llm.example:443',
    method: 'POST',
    target: '/v1/chat',
    required: ['llm:chat'],
    granted: ['llm:*'],
  } as ReturnType<typeof decision> & { kind: 'decision' };
  test('it has one spelling, whichever way it is sealed, and is a record to whoever reads it', () => {
    const log = new SealedLog(PLANNING);
    const quick = sealDecision(left as never, log.head, PLANNING.id, 5000);
    expect(quick).toEqual(sealRecord(left, log.head, PLANNING.id, 5000));
    expect(readRecordLine(quick.line)).toMatchObject({
      ok: true,
      value: { destination: 'api.llm.example:443' },
    });
  });
  test('nobody is asked for the other side of it', () => {
    const log = new SealedLog(PLANNING)
      .add(left)
      .add(outcome({ hop: left.hop, direction: 'outbound' }))
      .stop();
    const other = new SealedLog(INVENTORY).stop();
    const recordsOf = (one: SealedLog) => one.lines.map((line) => permitted(readRecordLine(line)));
    const indexes = [log, other].map((one, at) => {
      const index = new HopIndex(`log ${at}`, one.sidecar.id);
      for (const record of recordsOf(one)) index.take(record);
      return index;
    });
    const check = new CrossCheck('log 0', indexes);
    for (const [at, record] of recordsOf(log).entries()) check.take(record, at + 1);
    expect(check.finish()).toEqual([]);
  });
  test('another policy can be held against it', () => {
    const log = new SealedLog(PLANNING).add(left);
    const record = permitted(readRecordLine(log.lines[0] ?? '')) as never;
    const judge = (...egress: object[]) => new Replay(permitted(read(...egress)), new Set()).judge(record);
    expect(judge(API)).toMatchObject({ change: 'same', route: 'chat' });
    expect(judge(TUNNEL)).toMatchObject({ change: 'denied', now: { reason: 'route_unmatched' } });
  });
});
