/** `egress` in files: what is wrong with it, said where it stands. */
import { describe, expect, test } from 'vitest';
import { egress } from '../../../src/config/egress-schema.ts';
import { parsePolicy } from '../../../src/config/policy.ts';
import { noticesOf } from '../../../src/sidecar/policy-notices.ts';

const faultsOf = (...entries: object[]): string[] => {
  const parsed = egress.safeParse(entries);
  return parsed.success
    ? []
    : parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
};
const API = { destination: 'api.llm.example:443' };
const EXCHANGE = { tokenEndpoint: 'https://sts.example/token', clientId: 'hopgate' };

describe('outbound.egress', () => {
  test('takes a destination, with a credential of one kind', () => {
    expect(faultsOf(API, { destination: 'db.example:5432', mode: 'tunnel' })).toEqual([]);
    expect(faultsOf({ ...API, credential: { secretFile: 'key', header: 'x-api-key' } })).toEqual([]);
    expect(faultsOf({ ...API, credential: { exchange: EXCHANGE } })).toEqual([]);
  });
  test.each<[object[], string]>([
    [[API, API], '1.destination: api.llm.example:443 is there already'],
    [[{ destination: 'api.llm.example:80' }], 'port 80 of http stands for 443'],
    [[{ destination: '10.0.0.1:443' }], 'not an IP address'],
    [[{ ...API, mode: 'tunnel', credential: { secretFile: 'key' } }], 'credential: is for mode api'],
    [[{ ...API, mode: 'tunnel', caFile: 'ca.pem' }], 'caFile: is for mode api'],
    [[{ ...API, credential: {} }], 'give one of secretFile and exchange'],
    [
      [{ ...API, credential: { secretFile: 'key', exchange: EXCHANGE } }],
      'give one of secretFile and exchange',
    ],
    [[{ ...API, credential: { secretFile: 'key', header: 'host' } }], 'the name of a header'],
    [[{ ...API, credential: { secretFile: 'key', header: 'X-Api-Key' } }], 'the name of a header'],
    [[{ ...API, credential: { secretFile: '-----BEGIN KEY-----' } }], 'looks like its content'],
    [
      [{ ...API, credential: { exchange: { ...EXCHANGE, tokenEndpoint: 'http://sts.example/token' } } }],
      'https',
    ],
    [[{ ...API, allowPrivate: ['10.0.0.0/8'] }], 'allowPrivate'],
  ])('%j: %s', (entries, fault) => {
    expect(faultsOf(...entries).join('\n')).toContain(fault);
  });
});

const policy = (...lines: string[]): string =>
  [
    'apiVersion: hopgate.dev/v1',
    'kind: Policy',
    'revision: r1',
    'routes: []',
    'rules: []',
    'egress:',
    ...lines.map((line) => `  ${line}`),
  ].join('\n');

describe('egress of a policy', () => {
  test('becomes what sidecars decide by', () => {
    const { egress: list } = parsePolicy(
      policy(
        '- {name: chat, destination: "api.llm.example:443", path: /chat, scopes: ["llm:chat"]}',
        '- {name: db, destination: "db.example:5432", mode: tunnel, scopes: ["db:query"]}',
      ),
      'p.yaml',
    );
    expect(list).toMatchObject([
      { mode: 'api', path: '/chat' },
      { mode: 'tunnel', path: '/', methods: ['CONNECT'] },
    ]);
  });
  test.each([
    ['- {name: chat, destination: "api.llm.example:443", scopes: ["a:b"]}', 'path: is missing'],
    [
      '- {name: db, destination: "db.example:5432", mode: tunnel, path: /x, scopes: ["a:b"]}',
      'no request is read',
    ],
    [
      '- {name: db, destination: "db.example:5432", mode: tunnel, scopes: ["a:b"], protocol: mcp}',
      'no request is read',
    ],
    [
      '- {name: db, destination: "db.example", mode: tunnel, scopes: ["a:b"]}',
      'a host name in lower case and a port',
    ],
    [
      '- {name: db, destination: "db.example:1", mode: tunnel, scopes: ["a:b"], allowPrivate: [127.0.0.0/8]}',
      'range of private addresses',
    ],
    [
      '- {name: a, destination: "db.example:1", path: /x, scopes: ["a:b"], enforcement: observe}',
      'enforcement',
    ],
  ])('%s: %s', (line, fault) => {
    expect(() => parsePolicy(policy(line), 'p.yaml')).toThrow(fault);
  });
  test('that does not list what a sidecar takes up is said', () => {
    const made = parsePolicy(
      policy('- {name: chat, destination: "api.llm.example:443", path: /chat, scopes: ["llm:chat"]}'),
      'p.yaml',
    );
    const said = (entries: object[]) =>
      noticesOf(made, { outbound: { egress: egress.parse(entries) } } as never, 0).map(({ about }) => about);
    expect(said([API])).toEqual([]);
    expect(said([{ ...API, mode: 'tunnel' }, { destination: 'other.example:443' }])).toHaveLength(2);
  });
});
