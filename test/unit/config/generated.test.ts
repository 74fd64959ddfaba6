/** The committed schemas and reference page are what the one schema says, and editors agree with the validator. */
import { readFileSync } from 'node:fs';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { generateFiles } from '../../../config/generate.ts';
import {
  policyFaults,
  policyText,
  sidecarFaults,
  sidecarText,
  verifierFaults,
} from '../../testkit/config-faults.ts';

const committed = (name: string): string =>
  readFileSync(new URL(`../../../config/${name}`, import.meta.url), 'utf8');
const files = generateFiles();

const compile = (name: string): ValidateFunction =>
  new Ajv2020({ strict: true, strictRequired: false, allowUnionTypes: true, allErrors: true }).compile(
    JSON.parse(files[name] ?? ''),
  );
const isSidecar = compile('sidecar.schema.json');
const isPolicy = compile('policy.schema.json');
const isVerifier = compile('verifier.schema.json');

test.each(Object.keys(files))('config/%s is up to date (npm run gen)', (name) => {
  expect(committed(name)).toBe(files[name]);
});

test('what is generated is the same each time', () => {
  expect(generateFiles()).toEqual(files);
});

describe('the reference page', () => {
  const page = files['REFERENCE.md'] ?? '';
  const rows = page.split('\n').filter((line) => line.startsWith('| `'));

  test('explains every field and every form that it names', () => {
    const explained = page.slice(page.indexOf('## Forms'), page.indexOf('## kind'));
    const forms = new Set([...explained.matchAll(/^\| ([^|]+) \|/gm)].map((match) => match[1]));
    for (const line of rows) {
      const [field, form = '', , meaning = ''] = line.split(' | ');
      expect(meaning.length, `${field} has no meaning`).toBeGreaterThan(5);
      for (const name of form
        .replace(/ \(1 or more\)/g, '')
        .split(/(?:list|map), each: | to /)
        .filter(Boolean))
        expect(
          forms.has(name) || /^(`|\[|whole number|number|text)/.test(name),
          `the form "${name}" of ${field} isn't explained`,
        ).toBe(true);
    }
    expect(rows.length).toBeGreaterThan(60);
  });

  test('has each link’s heading, once', () => {
    const headings = [...page.matchAll(/^#+ (.*)$/gm)].map(
      (match) =>
        `#${(match[1] ?? '')
          .toLowerCase()
          .replace(/[^a-z0-9 -]/g, '')
          .replaceAll(' ', '-')}`,
    );
    expect(new Set(headings).size).toBe(headings.length);
    for (const [, target] of page.matchAll(/\]\((#[^)]*)\)/g)) expect(headings).toContain(target);
  });
});

describe('what both accept', () => {
  test.each(['sidecar.yaml', 'policy.yaml'])('config/%s', (name) => {
    const [validate, faults] = name === 'policy.yaml' ? [isPolicy, policyFaults] : [isSidecar, sidecarFaults];
    expect(faults(committed(name))).toEqual([]);
    expect(validate(parse(committed(name)))).toBe(true);
  });

  test.each([
    sidecarText(),
    sidecarText('outbound: {}\n'),
    sidecarText('inbound: {agent: "unix:/run/agent.sock"}\nlimits: {bodyBytes: 1024, drainTimeout: 5s}\n'),
    sidecarText('inbound: {agent: "[::1]:8080", listen: "[::]:14443"}\n'),
  ])('sidecar %#', (text) => {
    expect(sidecarFaults(text)).toEqual([]);
    expect(isSidecar(parse(text))).toBe(true);
  });

  test.each([
    committed('verifier.yaml'),
    'apiVersion: hopgate.dev/v1\nkind: Verifier\n',
    'apiVersion: hopgate.dev/v1\nkind: Verifier\nmetrics: {listen: off}\n',
    'apiVersion: hopgate.dev/v1\nkind: Verifier\nmetrics: {listen: "[::]:14301"}\n',
  ])('verifier %#', (text) => {
    expect(verifierFaults(text)).toEqual([]);
    expect(isVerifier(parse(text))).toBe(true);
  });

  test('the least policy', () => {
    expect(policyFaults(policyText())).toEqual([]);
    expect(isPolicy(parse(policyText()))).toBe(true);
  });
});

const IN = 'inbound: {agent: "127.0.0.1:8080"}\n';
const outbound = (route: string): string => sidecarText(`outbound: {routes: [{${route}}]}\n`);
const PEER = 'host: a.mesh, peer: "spiffe://company.com/agent/a/1", address: "a:1"';

describe('what both refuse', () => {
  test.each([
    sidecarText(''),
    sidecarText(`${IN}extra: 1\n`),
    sidecarText('inbound: {}\n'),
    sidecarText('inbound: {agent: 8080}\n'),
    sidecarText('inbound: {agent: "0.0.0.0:8080"}\n'),
    sidecarText('inbound: {agent: "localhost:8080"}\n'),
    sidecarText('inbound: {agent: "127.0.0.1:8080", listen: "unix:/x"}\n'),
    sidecarText(`${IN}limits: {idleTimeout: 30}\n`),
    sidecarText(`${IN}limits: {idleTimeout: 1.5h}\n`),
    sidecarText(`${IN}limits: {bodyBytes: 10MB}\n`),
    sidecarText(`${IN}limits: {bodyBytes: 0}\n`),
    sidecarText(`${IN}limits: {handshakes: 0}\n`),
    sidecarText(`${IN}log: {level: loud}\n`),
    sidecarText(`${IN}audit: {durability: maybe}\n`),
    sidecarText(IN).replace('kind: Sidecar', 'kind: Policy'),
    sidecarText(IN).replace('hopgate.dev/v1', 'v1'),
    sidecarText(IN).replace('  wit: wit.jwt\n', ''),
    sidecarText(IN).replace('wit: wit.jwt', 'wit: ""'),
    sidecarText(IN).replace('wit: wit.jwt', 'wit: eyJhbGciOiJFZDI1NTE5In0.eyJh.AA'),
    sidecarText(IN).replace('svid.key', '"-----BEGIN PRIVATE KEY-----"'),
    sidecarText(IN).replace('svid.key', '|\n    a\n    b'),
    sidecarText(IN).replace('company.com', 'Company.com'),
    sidecarText(IN).replace(/root: A+/, 'root: AAAA'),
    sidecarText(IN).replace(/root: (A+)A/, 'root: $1B'),
    outbound('host: a.mesh'),
    outbound(PEER.replace('agent/a/1', '*')),
    outbound(PEER.replace('a.mesh', '10.0.0.1')),
    outbound(PEER.replace('a.mesh', 'A.mesh')),
    outbound(`${PEER}, delegate: {}`),
    outbound(`${PEER}, delegate: {scope: [], ttl: 15m, remainingDepth: 1}`),
    outbound(`${PEER}, delegate: {scope: ["*"], ttl: 15m, remainingDepth: 1}`),
    outbound(`${PEER}, delegate: {scope: [a:b], ttl: 15m, remainingDepth: 8}`),
    outbound(`${PEER}, delegate: {scope: [a:b], remainingDepth: 1}`),
  ])('sidecar %#', (text) => {
    expect(sidecarFaults(text)).not.toEqual([]);
    expect(isSidecar(parse(text))).toBe(false);
  });

  test.each([
    policyText('rules: []\n'),
    policyText('routes: []\n'),
    policyText('routes: []\nrules: []\nother: 1\n'),
    policyText('routes: []\nrules: [{name: a}]\n'),
    policyText('routes: []\nrules: [{name: A, effect: allow}]\n'),
    policyText('routes: []\nrules: [{name: a, effect: maybe}]\n'),
    policyText('routes: []\nrules: [{name: a, effect: allow, callers: []}]\n'),
    policyText('routes: []\nrules: [{name: a, effect: allow, callers: ["spiffe://a/*"]}]\n'),
    policyText('routes: []\nrules: [{name: a, effect: allow, principals: [alice]}]\n'),
    policyText('routes: []\nrules: [{name: a, effect: allow, scopes: ["a*"]}]\n'),
    policyText('routes: [{name: a, path: a, scopes: [a:b]}]\nrules: []\n'),
    policyText('routes: [{name: a, path: /, scopes: []}]\nrules: []\n'),
    policyText('routes: [{name: a, path: /, scopes: [a:b], methods: [get]}]\nrules: []\n'),
    policyText('limits: {maxDepth: 9}\nroutes: []\nrules: []\n'),
    policyText('limits: {humanRoot: yes}\nroutes: []\nrules: []\n'),
    policyText('scopeSets: {"a:*": [a:b]}\nroutes: []\nrules: []\n'),
    policyText('scopeSets: {a: []}\nroutes: []\nrules: []\n'),
    policyText().replace('r1', '1'),
    policyText().replace('r1', 'a b'),
  ])('policy %#', (text) => {
    expect(policyFaults(text)).not.toEqual([]);
    expect(isPolicy(parse(text))).toBe(false);
  });
});

describe('what both refuse of a verifier', () => {
  const text = (rest: string): string => `apiVersion: hopgate.dev/v1\nkind: Verifier\n${rest}`;
  test.each([
    text('extra: 1\n'),
    text('trustDomain: Company.com\n'),
    text('listen: 14300\n'),
    text('listen: "unix:/run/verifier.sock"\n'),
    text('svidTtl: 3600\n'),
    text('metrics: {listen: on}\n'),
    text('metrics: {listen: 14301}\n'),
    text('metrics: {listen: "unix:/run/metrics.sock"}\n'),
    text('metrics: off\n'),
    text('limits: {strangers: 0}\n'),
    text('keys: {passphraseFile: |\n  a\n  b}\n'),
    text('attestation: {kubernetes: [{name: a}]}\n'),
    text('').replace('Verifier', 'Sidecar'),
  ])('%#', (wrong) => {
    expect(verifierFaults(wrong)).not.toEqual([]);
    let value: unknown;
    try {
      value = parse(wrong);
    } catch {
      return;
    }
    expect(isVerifier(value)).toBe(false);
  });
});

test('a JSON Schema can’t compare two fields or count days: there the validator alone refuses', () => {
  const seenByValidatorAlone = [
    sidecarText(`${IN}limits: {idleTimeout: 25d}\n`),
    sidecarText('inbound: {agent: "127.0.0.1:14443"}\n'),
    sidecarText('inbound: {agent: "127.0.0.1:0"}\n'),
    outbound(`${PEER}}, {${PEER}`),
  ];
  for (const text of seenByValidatorAlone) {
    expect(sidecarFaults(text)).toHaveLength(1);
    expect(isSidecar(parse(text))).toBe(true);
  }
});
