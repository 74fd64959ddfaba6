import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { svidEvidence } from '../../../../src/edge/verifier/evidence.ts';
import { Entries } from '../../../../src/verifier/registry/entries.ts';
import {
  makeForeignKey,
  respelled,
  signedWithPublicKey,
  signForeign,
  unsigned,
} from '../../../testkit/foreign-tokens.ts';
import {
  agentActor,
  idOf,
  makeRegistryWorld,
  makeWorkload,
  OPERATOR,
  type RegistryWorld,
  type RequestFault,
  reasonOf,
  request,
  SOURCE,
  STRANGER,
  type Workload,
  wish,
} from '../../../testkit/registry-world.ts';

const PROD = makeForeignKey('prod-1');
const TEST = makeForeignKey('test-1', 'ES256');
const AUDIENCE = 'spiffe://company.com/verifier';
const directory = mkdtempSync(path.join(tmpdir(), 'hopgate-jwks-'));
const jwksFile = path.join(directory, 'test.json');
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const stranger = { actor: STRANGER, source: SOURCE };
let world: RegistryWorld;
beforeEach(async () => {
  writeFileSync(jwksFile, JSON.stringify({ keys: [TEST.jwk] }));
  world = await makeRegistryWorld({
    kubernetes: [
      { name: 'prod', issuer: 'https://prod.example', jwks: { keys: [PROD.jwk] } },
      { name: 'test', issuer: 'https://test.example', jwksFile },
    ],
  });
  await world.registry.entries.add(
    OPERATOR,
    {
      id: 'spiffe://company.com/agent/inventory/{pod}',
      ...wish(['k8s:cluster=prod', 'k8s:ns=prod', 'k8s:sa=inventory']),
    },
    'a test',
  );
});
afterEach(() => world.close());

const claims = (
  more: Readonly<Record<string, unknown>> = {},
  pod = 'inventory-7c9',
  ns = 'prod',
  sa = 'inventory',
) => {
  const now = world.clock.seconds;
  return {
    iss: 'https://prod.example',
    aud: [AUDIENCE],
    iat: now,
    nbf: now,
    exp: now + 600,
    sub: `system:serviceaccount:${ns}:${sa}`,
    'kubernetes.io': {
      namespace: ns,
      node: { name: 'node-1', uid: 'e0c6' },
      pod: { name: pod, uid: `uid-of-${pod}` },
      serviceaccount: { name: sa, uid: '4a11' },
    },
    ...more,
  };
};
const enrol = async (token: string, fault: RequestFault = {}, workload: Workload = makeWorkload()) =>
  world.registry.enrolments.enrol(
    stranger,
    await request(world, workload, () => ({ method: 'kubernetes' as const, token }), fault),
  );
const outcome = async (token: string, fault: RequestFault = {}) => reasonOf(enrol(token, fault));

describe('a pod that is called like another workload', () => {
  test('doesn’t get the name that an entry gives to one workload alone', async () => {
    const id = idOf('inventory/vault');
    await world.registry.entries.add(OPERATOR, { id, ...wish([`join:id=${id}`]) }, 'a test');
    expect(await outcome(await signForeign(PROD, claims({}, 'vault')))).toBe('entry_unmatched');
    expect(await outcome(await signForeign(PROD, claims({}, 'vault-2')))).toBe('done');
  });

  test('in another cluster doesn’t take over the name of a pod in this one', async () => {
    await enrol(await signForeign(PROD, claims()));
    await world.registry.entries.add(
      OPERATOR,
      {
        name: 'inventory-test',
        id: 'spiffe://company.com/agent/inventory/{pod}',
        ...wish(['k8s:cluster=test', 'k8s:ns=prod', 'k8s:sa=inventory']),
      },
      'a test',
    );
    const other = await signForeign(TEST, claims({ iss: 'https://test.example' }));
    expect(await outcome(other)).toBe('entry_unmatched');
    const free = await signForeign(TEST, claims({ iss: 'https://test.example' }, 'inventory-d41'));
    expect(await outcome(free)).toBe('done');
    // A stricter entry for the same pods goes on with their names.
    await world.registry.entries.add(
      OPERATOR,
      {
        name: 'inventory-node',
        id: 'spiffe://company.com/agent/inventory/{pod}',
        ...wish(['k8s:cluster=prod', 'k8s:node=node-1', 'k8s:ns=prod', 'k8s:sa=inventory']),
      },
      'a test',
    );
    expect((await enrol(await signForeign(PROD, claims()))).entry).toBe('inventory-node');
  });
});

describe('a projected service-account token', () => {
  test('makes the agent that the template says, with the facts in its WIT', async () => {
    const { id, wit } = await enrol(await signForeign(PROD, claims()));
    expect(id).toBe(idOf('inventory/inventory-7c9'));
    const { attested } = JSON.parse(Buffer.from(wit.split('.')[1] ?? '', 'base64url').toString()) as {
      attested: unknown;
    };
    expect(attested).toEqual({
      method: 'kubernetes',
      'k8s.cluster': 'prod',
      'k8s.ns': 'prod',
      'k8s.sa': 'inventory',
      'k8s.pod': 'inventory-7c9',
      'k8s.pod-uid': 'uid-of-inventory-7c9',
      'k8s.node': 'node-1',
    });
  });

  test.each([
    ['for another audience', { aud: ['https://kubernetes.default.svc'] }],
    ['for no audience', { aud: undefined }],
    ['by an unknown cluster', { iss: 'https://mallory.example' }],
    ['by no issuer', { iss: undefined }],
    ['of an account that differs from its claims', { sub: 'system:serviceaccount:prod:admin' }],
    ['bound to no pod', { 'kubernetes.io': { namespace: 'prod', serviceaccount: { name: 'inventory' } } }],
    ['without its claims', { 'kubernetes.io': undefined }],
    ['without an end', { exp: undefined }],
  ])('%s', async (_name, more) => {
    expect(await outcome(await signForeign(PROD, claims(more)))).toBe('attestation_refused');
  });

  test('expired, from the future, not valid yet', async () => {
    const now = world.clock.seconds;
    expect(await outcome(await signForeign(PROD, claims({ exp: now - 31 })))).toBe('attestation_expired');
    expect(await outcome(await signForeign(PROD, claims({ nbf: now + 31 })))).toBe('attestation_refused');
    expect(await outcome(await signForeign(PROD, claims({ iat: now + 31 })))).toBe('attestation_refused');
    expect(await outcome(await signForeign(PROD, claims({ nbf: now + 29, iat: now + 29 })))).toBe('done');
  });

  test('of another cluster: by its key under our name, and by its key under its own', async () => {
    expect(await outcome(await signForeign(TEST, claims()))).toBe('attestation_refused');
    const own = await signForeign(TEST, claims({ iss: 'https://test.example' }));
    expect(await outcome(own)).toBe('entry_unmatched');
  });

  test('by none, HS256 with the public key, a changed payload, a key of its own', async () => {
    const good = await signForeign(PROD, claims());
    const stranger = makeForeignKey('prod-1');
    for (const token of [
      unsigned(claims()),
      signedWithPublicKey(PROD, claims()),
      respelled(good, { payload: JSON.stringify(claims({}, 'security-1')) }),
      await signForeign(stranger, claims()),
      await signForeign(stranger, claims(), { jwk: stranger.jwk }),
      await signForeign(PROD, claims(), { jku: 'https://mallory.example/jwks' }),
      await signForeign(PROD, claims(), { x5u: 'https://mallory.example/x5u' }),
      await signForeign(PROD, claims(), { kid: '../../etc/passwd' }),
      await signForeign(PROD, claims(), { kid: "x' OR '1'='1" }),
    ])
      expect(await outcome(token)).toBe('attestation_refused');
  });

  test('in a spelling that two readers may read in two ways', async () => {
    const good = await signForeign(PROD, claims());
    const [header = '', payload = ''] = good.split('.');
    const text = Buffer.from(payload, 'base64url').toString();
    for (const token of [
      `${good}=`,
      ` ${good}`,
      good.replace('.', '.\n'),
      `${good}.x`,
      `${header}.${payload}`,
      respelled(good, { header: `{"alg":"none","alg":"RS256","kid":"prod-1","typ":"JWT"}` }),
      respelled(good, { payload: `${text.slice(0, -1)},"sub":"system:serviceaccount:prod:admin"}` }),
    ])
      expect(await outcome(token)).toBe('attestation_refused');
  });

  test('of somebody else’s pod gives that pod’s name, and never the one that is asked for', async () => {
    const other = await signForeign(PROD, claims({}, 'web-1', 'prod', 'web'));
    expect(await outcome(other)).toBe('entry_unmatched');
    const sibling = await signForeign(PROD, claims({}, 'inventory-8d1'));
    expect(await outcome(sibling, { id: idOf('inventory/inventory-7c9') })).toBe('attestation_refused');
    expect((await enrol(sibling)).id).toBe(idOf('inventory/inventory-8d1'));
  });

  test('a pod whose name is no segment of an ID', async () => {
    for (const pod of ['..', 'a/b', 'a b', '*', 'a%2fb'])
      expect(await outcome(await signForeign(PROD, claims({}, pod)))).not.toBe('done');
  });

  test('a renewal attests anew: another pod’s token, or none any more, ends it', async () => {
    const workload = makeWorkload();
    const { id } = await enrol(await signForeign(PROD, claims()), {}, workload);
    const renew = async (token: string) =>
      reasonOf(
        world.registry.enrolments.renew(
          { actor: agentActor(id as never), source: SOURCE },
          await request(world, workload, () => ({ method: 'kubernetes' as const, token })),
        ),
      );
    expect(await renew(await signForeign(PROD, claims()))).toBe('done');
    expect(await renew(await signForeign(PROD, claims({}, 'inventory-8d1')))).toBe('entry_unmatched');
    expect(await renew(await signForeign(PROD, claims({ exp: world.clock.seconds - 60 })))).toBe(
      'attestation_expired',
    );
  });

  test('a renewal by the SVID alone is for who joined with a token', async () => {
    const workload = makeWorkload();
    const { id } = await enrol(await signForeign(PROD, claims()), {}, workload);
    const self = { actor: agentActor(id as never), source: SOURCE };
    const bySvid = await request(world, workload, svidEvidence);
    expect(await reasonOf(world.registry.enrolments.renew(self, bySvid))).toBe('attestation_refused');
  });

  test('keys in a file are read again when the cluster rotates them, and half a file changes nothing', async () => {
    const next = makeForeignKey('test-2', 'ES256');
    const token = await signForeign(next, claims({ iss: 'https://test.example' }));
    expect(await outcome(token)).toBe('attestation_refused');
    writeFileSync(jwksFile, JSON.stringify({ keys: [TEST.jwk, next.jwk] }));
    expect(await outcome(token)).toBe('entry_unmatched');
    writeFileSync(jwksFile, '{"keys": [');
    expect(await outcome(token)).toBe('entry_unmatched');
  });
});

describe('entries', () => {
  const add = (selectors: readonly string[], id = 'spiffe://company.com/agent/inventory/1', name = 'x') =>
    reasonOf(world.registry.entries.add(OPERATOR, { name, id, ...wish(selectors) }, 'a test'));
  const PODS = ['k8s:cluster=prod', 'k8s:ns=prod', 'k8s:sa=inventory'];

  test('the one that says more than the other holds', async () => {
    await add([...PODS, 'k8s:pod=inventory-0'], idOf('inventory/first'));
    expect((await enrol(await signForeign(PROD, claims({}, 'inventory-0')))).id).toBe(
      idOf('inventory/first'),
    );
    expect((await enrol(await signForeign(PROD, claims()))).id).toBe(idOf('inventory/inventory-7c9'));
  });

  test('two that say as much as each other: neither', async () => {
    await add([...PODS, 'k8s:pod=inventory-0'], idOf('inventory/first'), 'first');
    await add([...PODS, 'k8s:node=node-1'], idOf('inventory/second'), 'second');
    const detail = enrol(await signForeign(PROD, claims({}, 'inventory-0')));
    await expect(detail).rejects.toThrow(/first, inventory-pod, second/);
    await world.registry.agents.retireEntry(OPERATOR, 'second', 'a test');
    await add(PODS, idOf('inventory/third'), 'third');
    expect(await outcome(await signForeign(PROD, claims({}, 'inventory-9')))).toBe('entry_unmatched');
  });

  test.each([
    ['no namespace', ['k8s:cluster=prod', 'k8s:sa=inventory']],
    ['a whole namespace', ['k8s:cluster=prod', 'k8s:ns=prod']],
    ['no cluster where there are two', ['k8s:ns=prod', 'k8s:sa=inventory']],
    ['two ways to attest', [...PODS, 'join:id=spiffe://company.com/agent/inventory/1']],
    ['a client without its issuer', ['oidc:client_id=inventory']],
    ['a whole issuer', ['oidc:iss=https://idp.example']],
    ['a selector twice', [...PODS, 'k8s:ns=prod']],
  ])('that let in whom nobody means: %s', async (_name, selectors) => {
    expect(await add(selectors)).toBe('api_malformed');
  });

  test('from the days of one cluster means neither of two', async () => {
    const rules = { trustDomain: 'company.com', allowLongSvid: false };
    const one = new Entries(world.records, world.clock, { ...rules, clusters: 1 });
    const two = new Entries(world.records, world.clock, { ...rules, clusters: 2 });
    const old = { name: 'old', id: idOf('web/1'), ...wish(['k8s:ns=prod', 'k8s:sa=web']) };
    await one.add(OPERATOR, old, 'a test');
    const attested = {
      method: 'kubernetes',
      facts: ['k8s:cluster=prod', 'k8s:ns=prod', 'k8s:sa=web'],
      values: {},
    };
    expect((await one.match(attested)).name).toBe('old');
    expect(await reasonOf(two.match(attested))).toBe('entry_unmatched');
  });

  test('for another trust domain, with a placeholder that its facts don’t have, of a name that is taken', async () => {
    expect(await add(PODS, 'spiffe://other.com/agent/inventory/1')).toBe('api_malformed');
    expect(await add(PODS, 'spiffe://company.com/agent/inventory/{client_id}')).toBe('api_malformed');
    expect(await add(PODS)).toBe('done');
    expect(await add(PODS)).toBe('api_conflict');
  });

  test('with an SVID of more than an hour, only where the verifier allows it', async () => {
    const long = { name: 'long', id: idOf('inventory/1'), ...wish(PODS, { svidTtlSeconds: 7200 }) };
    expect(await reasonOf(world.registry.entries.add(OPERATOR, long, 'a test'))).toBe('api_malformed');
    const other = await makeRegistryWorld({ allowLongSvid: true });
    expect(await reasonOf(other.registry.entries.add(OPERATOR, long, 'a test'))).toBe('done');
    await other.close();
  });

  test('an entry whose selectors have changed is no longer found by the old ones', async () => {
    await world.registry.entries.update(
      OPERATOR,
      'inventory-pod',
      wish(['k8s:cluster=prod', 'k8s:ns=prod', 'k8s:sa=stock']),
      'renamed',
    );
    expect(await outcome(await signForeign(PROD, claims()))).toBe('entry_unmatched');
    expect(await outcome(await signForeign(PROD, claims({}, 'stock-1', 'prod', 'stock')))).toBe('done');
  });
});
