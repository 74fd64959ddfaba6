/** Attacks on how one becomes an agent, against the running verifier and the real command line. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { enrolmentEndpoints } from '../../src/api/enrolment.ts';
import { registryEndpoints } from '../../src/api/registry.ts';
import { serviceEndpoints } from '../../src/api/service.ts';
import { parseConfig } from '../../src/config/load.ts';
import { sidecarSchema } from '../../src/config/sidecar-schema.ts';
import { verifyBundle } from '../../src/core/trust/bundle.ts';
import { formatJoinString, type JoinString, parseJoinString } from '../../src/core/trust/join-string.ts';
import { makeSigningKey, privateKeyPem } from '../../src/edge/keys/signing-key.ts';
import { loadIdentity } from '../../src/edge/store/identity-files.ts';
import { VerifierClient, VerifierError } from '../../src/edge/verifier/client.ts';
import { type AgentKeys, type Enrolled, enrol, renew } from '../../src/edge/verifier/enrolment.ts';
import { joinEvidence, svidEvidence } from '../../src/edge/verifier/evidence.ts';
import { runCli } from '../testkit/cli-process.ts';
import { RunningVerifier, TRUST_DOMAIN } from '../testkit/running-verifier.ts';
import { startWrongVerifier, type WrongVerifier } from '../testkit/wrong-verifier.ts';

let running: RunningVerifier;
let directory: string;
let wrong: WrongVerifier | undefined;
beforeEach(async () => {
  running = await RunningVerifier.start();
  directory = mkdtempSync(path.join(tmpdir(), 'hopgate-join-'));
});
afterEach(async () => {
  await wrong?.stop();
  wrong = undefined;
  await running.stop();
  rmSync(directory, { recursive: true, force: true });
});

const SOCKET = () => ['--verifier', running.verifier.layout.socket];
const now = () => Math.floor(Date.now() / 1000);
const trust = () => ({ trustDomain: TRUST_DOMAIN, root: running.verifier.rooms.authority.rootThumbprint });
const makeKeys = (): AgentKeys => ({ agent: makeSigningKey(), audit: makeSigningKey() });

const joinStringFor = async (agent: string): Promise<string> => {
  const { code, stdout, stderr } = await runCli('agents', 'add', agent, ...SOCKET());
  expect(code, stderr).toBe(0);
  return stdout.trim();
};
const read = (text: string): JoinString => {
  const parsed = parseJoinString(text);
  if (!parsed.ok) throw new Error(parsed.detail);
  return parsed.value;
};
/** A join token without a process for it. */
const tokenFor = async (name: string): Promise<JoinString> => {
  const id = `spiffe://${TRUST_DOMAIN}/agent/${name}`;
  const client = running.local();
  const { entries } = await client.call(registryEndpoints.listEntries, { query: { id } });
  const entry =
    entries[0] ??
    (await client.call(registryEndpoints.addEntry, {
      body: { id, selectors: [`join:id=${id}`], why: 'a test' },
    }));
  const { joinString } = await client.call(registryEndpoints.addJoinToken, {
    params: { name: entry.name },
    body: { why: 'a test' },
  });
  return read(joinString);
};
const joinAs = (keys: AgentKeys, { token, id }: JoinString): Promise<Enrolled> =>
  enrol(running.client(), { trust: trust(), keys, evidence: joinEvidence(token), id, now });
const renewAs = (keys: AgentKeys, { credentials, svidKey, id }: Enrolled): Promise<Enrolled> =>
  renew(running.client({ cert: credentials.svid, key: privateKeyPem(svidKey) }), {
    trust: trust(),
    keys,
    evidence: svidEvidence,
    id,
    now,
  });
const reasonOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return 'done';
  } catch (error) {
    if (error instanceof VerifierError) return error.reason;
    throw error;
  }
};
const events = async () => {
  const { events: lines } = await running
    .local()
    .call(serviceEndpoints.listEvents, { query: { limit: 1000 } });
  return lines.map(({ line }) => JSON.parse(line) as { event: string; data: Record<string, unknown> });
};

describe('hopgate join', () => {
  test('makes a whole folder, keys for its owner alone, and says what comes next', async () => {
    const text = await joinStringFor('planning/1');
    const folder = path.join(directory, 'planning');
    const { code, stdout, stderr } = await runCli('join', text, '--dir', folder);
    expect(code, stderr).toBe(0);
    expect(stdout).toContain(`hopgate sidecar --config ${path.join(folder, 'sidecar.yaml')}`);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    for (const name of ['agent.key', 'audit.key', 'svid.key'])
      expect(statSync(path.join(folder, name)).mode & 0o777).toBe(0o600);
    const at = (name: string): string => path.join(folder, name);
    const file = at('sidecar.yaml');
    const config = parseConfig(readFileSync(file, 'utf8'), file, sidecarSchema).value;
    expect(config.trust).toMatchObject(trust());
    const bundle = verifyBundle(readFileSync(at('bundle.jws'), 'utf8').trim(), {
      ...trust(),
      last: { epoch: 0, seq: 0 },
      now: now(),
    });
    if (!bundle.ok) throw new Error(bundle.detail);
    const identity = loadIdentity(
      {
        svid: at('svid.pem'),
        svidKey: at('svid.key'),
        agentKey: at('agent.key'),
        auditKey: at('audit.key'),
        wit: at('wit.jwt'),
        keyBinding: at('key-binding.json'),
      },
      bundle.value,
      now(),
    );
    expect(identity.id).toBe(`spiffe://${TRUST_DOMAIN}/agent/planning/1`);
    expect(existsSync(at('timestamp.jws'))).toBe(true);
    expect(readdirSync(directory)).toEqual(['planning']);

    const again = await runCli('join', text, '--dir', path.join(directory, 'again'));
    expect(again).toMatchObject({ code: 1, stdout: '' });
    expect(again.stderr).toContain('attestation_refused');
    const over = await runCli('join', await joinStringFor('planning/2'), '--dir', folder);
    expect(over.code).toBe(1);
    expect(readdirSync(directory)).toEqual(['planning']);
  });

  test('a wrong server never sees the token: not by its own root, not with the right roles, not with an agent’s SVID', async () => {
    const { authority } = running.verifier.rooms;
    const other = await RunningVerifier.start();
    const join = read(await joinStringFor('planning/1'));
    const mallory = await other.verifier.rooms.authority.serverIdentity();
    const agent = await running.identity('inventory/1');
    const attempts = [
      [{ cert: mallory.certPem, key: mallory.keyPem }, other.verifier.rooms.authority.rolesText()],
      [{ cert: mallory.certPem, key: mallory.keyPem }, authority.rolesText()],
      [agent, authority.rolesText()],
      [agent, `${authority.rolesText().slice(0, -4)}AAAA`],
    ] as const;
    for (const [identity, roles] of attempts) {
      wrong = await startWrongVerifier(identity, roles);
      const text = formatJoinString({ ...join, verifiers: [wrong.address, ...join.verifiers] });
      const { code, stderr } = await runCli('join', text, '--dir', path.join(directory, 'x'));
      expect(code).toBe(1);
      expect(stderr).toContain('verifier_untrusted');
      expect(wrong.received()).toContain('GET /v1/roles');
      expect(wrong.received()).not.toContain(join.token);
      expect(wrong.received()).not.toContain('POST');
      await wrong.stop();
      wrong = undefined;
    }
    expect(readdirSync(directory)).toEqual([]);
    await other.stop();
    // And the token is as good as ever.
    expect(await reasonOf(joinAs(makeKeys(), join))).toBe('done');
  });

  test('a server that is right when it is asked for roles and another when it is sent the token', async () => {
    const join = read(await joinStringFor('planning/1'));
    const mallory = await RunningVerifier.start();
    const { certPem, keyPem } = await mallory.verifier.rooms.authority.serverIdentity();
    wrong = await startWrongVerifier(
      { cert: certPem, key: keyPem },
      running.verifier.rooms.authority.rolesText(),
    );
    const client = new VerifierClient({
      kind: 'https',
      url: `https://${wrong.address}`,
      trustDomain: TRUST_DOMAIN,
      authorities: running.authorities,
    });
    const ask = { trust: trust(), keys: makeKeys(), evidence: joinEvidence(join.token), id: join.id, now };
    expect(await reasonOf(enrol(client, ask))).toBe('verifier_untrusted');
    expect(wrong.received()).toBe('');
    await client.close();
    const unproven = new VerifierClient({ kind: 'unproven', url: running.url });
    expect(await reasonOf(enrol(unproven, ask))).toBe('verifier_untrusted');
    await unproven.close();
    await mallory.stop();
  });

  test('a string that is cut, and one for a folder that can’t be made', async () => {
    const text = await joinStringFor('planning/1');
    const cut = await runCli('join', text.slice(0, -3));
    expect(cut.code).toBe(2);
    expect(cut.stderr).not.toContain(text.slice(20, 60));
    const nowhere = await runCli('join', text, '--dir', '/dev/null/x');
    expect(nowhere.code).toBe(1);
    expect(await reasonOf(joinAs(makeKeys(), read(text)))).toBe('done');
  });
});

describe('at the running verifier', () => {
  test('a token used eight times at once makes one agent', async () => {
    const join = await tokenFor('planning/1');
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => reasonOf(joinAs(makeKeys(), join))));
    expect(outcomes.filter((outcome) => outcome === 'done')).toHaveLength(1);
    expect((await events()).filter(({ event }) => event === 'agent.enrolled')).toHaveLength(1);
  });

  test('a join string typed on two machines at once makes one agent, and the other is told', async () => {
    const string = await joinStringFor('planning/1');
    const results = await Promise.all(
      ['one', 'two'].map((name) => runCli('join', string, '--dir', path.join(directory, name))),
    );
    expect(results.map(({ code }) => code).sort()).toEqual([0, 1]);
    const [won, lost] = results[0]?.code === 0 ? ['one', 'two'] : ['two', 'one'];
    const loser = results.find(({ code }) => code === 1);
    expect(loser?.stderr).toMatch(/attestation_refused: .*token/);
    expect(existsSync(path.join(directory, won, 'agent.key'))).toBe(true);
    // Nothing is left of it that could be taken for an agent.
    expect(existsSync(path.join(directory, lost))).toBe(false);
    expect((await events()).filter(({ event }) => event === 'agent.enrolled')).toHaveLength(1);
  });

  test('who guesses tokens must wait, and the guesses say nothing', async () => {
    const real = await tokenFor('planning/1');
    const outcomes: string[] = [];
    for (let count = 0; count < 14; count++) {
      const token = Buffer.alloc(32, count + 1).toString('base64url');
      outcomes.push(await reasonOf(joinAs(makeKeys(), { ...real, token })));
    }
    expect(outcomes.slice(0, 10)).toEqual(Array(10).fill('attestation_refused'));
    // One may be forgiven by the time it comes.
    expect(outcomes.slice(-3)).toEqual(Array(3).fill('api_busy'));
  });

  test('a token for another ID, and one that has expired', async () => {
    const planning = await tokenFor('planning/1');
    const inventory = await tokenFor('inventory/1');
    expect(await reasonOf(joinAs(makeKeys(), { ...planning, id: inventory.id }))).toBe('attestation_refused');
    running.clock.advanceSeconds(600);
    expect(await reasonOf(joinAs(makeKeys(), planning))).toBe('attestation_expired');
  });

  test('a request that was seen can’t be sent again', async () => {
    const join = await tokenFor('planning/1');
    const seen: unknown[] = [];
    const client = running.client();
    const spy = {
      call: (endpoint: never, sent: { body?: unknown }) => {
        seen.push(sent.body);
        return client.call(endpoint, sent as never);
      },
    } as unknown as VerifierClient;
    await enrol(spy, { trust: trust(), keys: makeKeys(), evidence: joinEvidence(join.token), now });
    const body = seen.at(-1) as never;
    expect(await reasonOf(client.call(enrolmentEndpoints.enrol, { body }))).toBe('enrolment_proof');
  });

  test('a second enrolment alarms, and the first key is renewed no more', async () => {
    const keys = makeKeys();
    const first = await joinAs(keys, await tokenFor('planning/1'));
    const thief = makeKeys();
    await joinAs(thief, await tokenFor('planning/1'));
    const alarm = (await events()).find(({ event }) => event === 'agent.key_replaced');
    expect(alarm?.data).toMatchObject({
      level: 'alarm',
      old: keys.agent.thumbprint,
      new: thief.agent.thumbprint,
      source: '127.0.0.1',
    });
    expect(await reasonOf(renewAs(keys, first))).not.toBe('done');
  });

  test('a renewal with another agent’s SVID renews nobody', async () => {
    const planning = makeKeys();
    const inventory = makeKeys();
    const first = await joinAs(planning, await tokenFor('planning/1'));
    const second = await joinAs(inventory, await tokenFor('inventory/1'));
    expect(await reasonOf(renewAs(planning, first))).toBe('done');
    // The SVID of one, the keys of the other.
    expect(await reasonOf(renewAs(planning, { ...second, id: first.id }))).toBe('enrolment_proof');
    expect(await reasonOf(renewAs(inventory, { ...first, id: second.id }))).toBe('enrolment_proof');
    const nobody = renew(running.client(), {
      trust: trust(),
      keys: planning,
      evidence: svidEvidence,
      id: first.id,
      now,
    });
    expect(await reasonOf(nobody)).toBe('api_unauthenticated');
  });

  test('after retirement nothing is renewed, and no request is anybody’s', async () => {
    const keys = makeKeys();
    const enrolled = await joinAs(keys, await tokenFor('planning/1'));
    const { code, stdout } = await runCli('agents', 'retire', 'planning/1', '--why', 'a test', ...SOCKET());
    expect(code).toBe(0);
    expect(stdout).toContain(enrolled.id);
    expect(await reasonOf(renewAs(keys, enrolled))).toBe('id_retired');
    const listed = await runCli('agents', 'list', '--json', ...SOCKET());
    expect(JSON.parse(listed.stdout)).toMatchObject({ agents: [{ id: enrolled.id, state: 'retired' }] });
  });
});
