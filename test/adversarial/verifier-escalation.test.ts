/** Attacks on who is who at the verifier: an operator who would be an admin, a thief whose agent has come back without it. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { principalEndpoints } from '../../src/api/principals.ts';
import { registryEndpoints } from '../../src/api/registry.ts';
import { type RoleBinding, roleBindingEndpoints } from '../../src/api/role-bindings.ts';
import { trustEndpoints } from '../../src/api/trust.ts';
import { parseAgentId } from '../../src/core/spiffe-id.ts';
import { parseJoinString } from '../../src/core/trust/join-string.ts';
import { makeSigningKey, privateKeyPem } from '../../src/edge/keys/signing-key.ts';
import { type VerifierClient, VerifierError } from '../../src/edge/verifier/client.ts';
import { type Enrolled, enrol } from '../../src/edge/verifier/enrolment.ts';
import { joinEvidence } from '../../src/edge/verifier/evidence.ts';
import { nameOf, OIDC_SUBJECT, PRINCIPAL, SESSION } from '../../src/verifier/principals/kinds.ts';
import { Edit } from '../../src/verifier/records.ts';
import { RunningVerifier, TRUST_DOMAIN } from '../testkit/running-verifier.ts';

let running: RunningVerifier;
beforeEach(async () => {
  running = await RunningVerifier.start();
});
afterEach(() => running.stop());

const why = 'a test';
const now = () => Math.floor(Date.now() / 1000);
const idOf = (name: string): string => `spiffe://${TRUST_DOMAIN}/${name}`;

const reasonOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return 'done';
  } catch (error) {
    if (error instanceof VerifierError) return error.reason;
    throw error;
  }
};
const bind = (subject: string, role: RoleBinding['role']) =>
  running.local().call(roleBindingEndpoints.addRoleBinding, { body: { subject, role, why } });
const clientAs = async (role: RoleBinding['role'], name: string = role): Promise<VerifierClient> => {
  const identity = await running.identity(`client/${name}`);
  await bind(identity.id, role);
  return running.client(identity);
};

const addEntry = (by: VerifierClient, id: string, selectors = [`join:id=${id}`], name?: string) =>
  by.call(registryEndpoints.addEntry, { body: { id, selectors, why, ...(name !== undefined && { name }) } });
const addToken = (by: VerifierClient, name: string) =>
  by.call(registryEndpoints.addJoinToken, { params: { name }, body: { why } });

/** All that it takes to be somebody: an entry, a token, keys. */
const becomeBy = async (by: VerifierClient, id: string): Promise<Enrolled> => {
  const known = await by.call(registryEndpoints.listEntries, { query: { id } });
  const { name } = known.entries[0] ?? (await addEntry(by, id));
  const { joinString } = await addToken(by, name);
  const join = parseJoinString(joinString);
  if (!join.ok) throw new Error(join.detail);
  return enrol(running.client(), {
    trust: { trustDomain: TRUST_DOMAIN, root: join.value.root },
    keys: { agent: makeSigningKey(), audit: makeSigningKey() },
    evidence: joinEvidence(join.value.token),
    id: join.value.id,
    now,
  });
};
const clientOf = ({ credentials, svidKey }: Enrolled): VerifierClient =>
  running.client({ cert: credentials.svid, key: privateKeyPem(svidKey) });

describe('an operator among people', () => {
  it('gives nobody a key: it would speak as that human from then on', async () => {
    const operator = await clientAs('operator');
    const ceiling = { scope: ['cloud:read'] };
    const alice = { uri: 'mailto:alice@company.com', human: true, ceiling };
    const key = { name: 'laptop', x: makeSigningKey().x };
    const add = (by: VerifierClient) =>
      by.call(principalEndpoints.addPrincipal, { body: { ...alice, keys: [key], why } });
    expect(await reasonOf(add(operator))).toBe('api_forbidden');
    expect(await reasonOf(add(running.local()))).toBe('done');
    const another = operator.call(principalEndpoints.addPrincipalKey, {
      params: { uri: alice.uri },
      body: { name: 'mine', x: makeSigningKey().x, why },
    });
    expect(await reasonOf(another)).toBe('api_forbidden');
  });
});

describe('an operator who registers agents', () => {
  it('can’t become somebody who has a role', async () => {
    const operator = await clientAs('operator');
    await bind(idOf('client/root'), 'admin');
    expect(await reasonOf(becomeBy(operator, idOf('client/root')))).toBe('api_forbidden');
    // Nor by a pattern, or by a template that makes such a name.
    await bind(idOf('agent/deployer/*'), 'operator');
    expect(await reasonOf(addEntry(operator, idOf('agent/deployer/9')))).toBe('api_forbidden');
    const pods = ['k8s:ns=prod', 'k8s:sa=deployer'];
    expect(await reasonOf(addEntry(operator, idOf('agent/deployer/{pod}'), pods))).toBe('api_forbidden');
    const clients = ['oidc:iss=https://idp.company.com', 'oidc:client_id=x'];
    expect(await reasonOf(addEntry(operator, idOf('client/{client_id}'), clients))).toBe('api_forbidden');
    // An admin may, and what has no role is an operator's to register.
    expect(await reasonOf(addEntry(running.local(), idOf('agent/deployer/9')))).toBe('done');
    expect(await reasonOf(becomeBy(operator, idOf('agent/planning/1')))).toBe('done');
  });

  it('can’t take over an entry that an admin has made for such a one', async () => {
    const operator = await clientAs('operator');
    const { name } = await addEntry(running.local(), idOf('client/root'));
    const { name: plain } = await addEntry(operator, idOf('client/plain'));
    await bind(idOf('client/root'), 'admin');
    await bind(idOf('client/plain'), 'auditor');
    for (const one of [name, plain]) {
      expect(await reasonOf(addToken(operator, one))).toBe('api_forbidden');
      const body = { selectors: ['k8s:ns=mine', 'k8s:sa=mine'], why };
      const update = operator.call(registryEndpoints.updateEntry, { params: { name: one }, body });
      expect(await reasonOf(update)).toBe('api_forbidden');
    }
    expect(await reasonOf(addToken(running.local(), name))).toBe('done');
  });

  it('says nothing of anybody that policy goes by, and lets nobody become one of whom it was said', async () => {
    const operator = await clientAs('operator');
    const id = idOf('agent/planning/1');
    const attributes = { env: 'prod' };
    const body = { id, selectors: [`join:id=${id}`], why };
    const add = (by: VerifierClient) =>
      by.call(registryEndpoints.addEntry, { body: { ...body, attributes } });
    expect(await reasonOf(add(operator))).toBe('api_forbidden');
    const { name } = await addEntry(operator, id);
    const change = (by: VerifierClient) =>
      by.call(registryEndpoints.changeAttributes, { params: { name }, body: { set: attributes, why } });
    const update = (selectors: string[], more: object = {}) =>
      operator.call(registryEndpoints.updateEntry, { params: { name }, body: { selectors, why, ...more } });
    expect(await reasonOf(change(operator))).toBe('api_forbidden');
    expect(await reasonOf(update(body.selectors, { attributes }))).toBe('api_forbidden');
    expect(await reasonOf(change(running.local()))).toBe('done');
    // Now it is one of prod: neither this entry nor another one of the name is an operator's.
    expect(await reasonOf(addToken(operator, name))).toBe('api_forbidden');
    expect(await reasonOf(update(['k8s:ns=mine', 'k8s:sa=mine']))).toBe('api_forbidden');
    expect(await reasonOf(update(body.selectors, { attributes: {} }))).toBe('api_forbidden');
    expect(await reasonOf(addEntry(operator, id, ['k8s:ns=mine', 'k8s:sa=mine'], 'mine'))).toBe(
      'api_forbidden',
    );
    expect(await reasonOf(addToken(running.local(), name))).toBe('done');
    // By its own name an agent says nothing of itself either.
    const agent = running.client(await running.identity('planning/1'));
    expect(await reasonOf(change(agent))).toBe('api_forbidden');
  });

  it('can’t take over the session of a person, with that person’s groups', async () => {
    const operator = await clientAs('operator');
    const id = parseAgentId(idOf('client/alice-0123456789abcdef'));
    if (id === undefined) throw new Error('no ID');
    const issuer = 'https://idp.company.com';
    const principal = 'mailto:alice@company.com';
    await bind(`group:${issuer}#admins`, 'admin');
    const ceiling = {
      scope: ['cloud:read'],
      maxTtlSeconds: 60,
      maxDepth: 2,
      delegatees: ['*'],
      domains: [TRUST_DOMAIN],
    };
    const { records } = running.verifier.rooms;
    const actor = { kind: 'system', name: 'test', roles: new Set<never>(), id: undefined } as const;
    await records.commit(
      { event: 'session.opened', actor: { ...actor, principal: undefined }, why, data: {} },
      new Edit()
        .set(PRINCIPAL, nameOf(principal), {
          uri: principal,
          human: true,
          keys: [],
          ceiling: ceiling as never,
          groups: [],
          approver: false,
        })
        .set(OIDC_SUBJECT, nameOf(issuer, '7'), { issuer, subject: '7', principal })
        .set(SESSION, nameOf(id), {
          id,
          principal,
          issuer,
          subject: '7',
          groups: ['admins'],
          agentX: makeSigningKey().x,
          login: { authTime: now(), tokenHash: 'x' },
          exp: now() + 3600,
        }),
    );
    const alice = running.client(await running.identity('client/alice-0123456789abcdef'));
    expect(await reasonOf(alice.call(roleBindingEndpoints.listRoleBindings, {}))).toBe('done');
    expect(await reasonOf(becomeBy(operator, id))).toBe('entry_unmatched');
  });
});

describe('an SVID that was stolen with its key', () => {
  it('is nobody’s once its agent has enrolled again', async () => {
    const first = await becomeBy(running.local(), idOf('agent/planning/1'));
    const thief = clientOf(first);
    expect(await reasonOf(thief.call(trustEndpoints.getTimestamp, {}))).toBe('done');
    running.clock.advanceSeconds(2);
    const again = await becomeBy(running.local(), idOf('agent/planning/1'));
    expect(await reasonOf(clientOf(again).call(trustEndpoints.getTimestamp, {}))).toBe('done');
    expect(await reasonOf(thief.call(trustEndpoints.getTimestamp, {}))).toBe('id_retired');
  });
});
