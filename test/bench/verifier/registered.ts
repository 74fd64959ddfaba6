/** A store with very many agents in it: the records and ledger lines that as many enrolments would have left, written in bulk. */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { Revoked } from '../../../src/api/revocations.ts';
import { sha256Base64url } from '../../../src/core/encoding/jws.ts';
import type { AgentId } from '../../../src/core/spiffe-id.ts';
import { systemClock } from '../../../src/edge/clock.ts';
import { SYSTEM } from '../../../src/verifier/actor.ts';
import { Edit, type EventBody, kind, Records } from '../../../src/verifier/records.ts';
import { AGENT, HELD_KEY, svidKeyName } from '../../../src/verifier/registry/agent-records.ts';
import { AGENT_TYPE, ENTRY } from '../../../src/verifier/registry/entries.ts';
import { nameOfRevoked, REVOCATION } from '../../../src/verifier/revocation/revocation-records.ts';
import { SqliteStore } from '../../../src/verifier/store/sqlite-store.ts';

/** As the registry's own index: one row for the rarest selector, one for the ID. */
const ENTRY_BY = kind('entry-by', z.strictObject({ entry: z.string() }));

const TYPES = ['planning', 'inventory', 'security', 'cost', 'report', 'billing', 'search', 'deploy'] as const;
const PER_COMMIT = 5000;
const digest = (): string => randomBytes(32).toString('base64url');

const idOf = (trustDomain: string, index: number): AgentId =>
  `spiffe://${trustDomain}/agent/${TYPES[index % TYPES.length]}/${index.toString(36).padStart(6, '0')}` as AgentId;

export interface Population {
  readonly trustDomain: string;
  readonly agents: number;
  readonly links: number;
  readonly keys: number;
  readonly tasks: number;
  readonly revokedAgents: number;
}

/** Pods of a cluster, each with an entry of its own: the dearest way to register. */
const addAgent = (edit: Edit, events: EventBody[], id: AgentId, now: number): void => {
  const [type = '', instance = ''] = id.split('/').slice(-2);
  const name = `${type}-${instance}`;
  const selectors = [`k8s:ns=${type}`, `k8s:pod=${name}`, `k8s:sa=${type}`];
  const attributes = { owner: `${type}-team`, tier: 'production' };
  const keys = { agent: digest(), audit: digest(), svid: svidKeyName(digest()) };
  const facts = [
    'k8s:cluster=prod',
    ...selectors,
    `k8s:node=node-${instance.slice(0, 3)}`,
    `k8s:pod-uid=${digest().slice(0, 36)}`,
  ];
  const since = now - 600;
  const hint = `the ${type} agent`;
  edit.set(ENTRY, name, {
    name,
    id,
    selectors,
    attributes,
    hint,
    state: 'active',
    createdAt: since,
    updatedAt: since,
  });
  for (const what of [selectors[1], `id=${id}`])
    edit.set(ENTRY_BY, `${sha256Base64url(what ?? '')}/${name}`, { entry: name });
  for (const [use, key] of Object.entries(keys))
    edit.set(HELD_KEY, key, { id, use: use as keyof typeof keys, state: 'held' });
  const serial = randomBytes(16).toString('hex');
  edit.set(AGENT, id, {
    id,
    state: 'live',
    agentX: digest(),
    thumbprint: keys.agent,
    auditX: digest(),
    svidKeys: [keys.svid],
    serial,
    entry: name,
    attestor: 'kubernetes',
    facts,
    enrolledAt: since,
    renewedAt: since,
    svidNotAfter: since + 3600,
  });
  const issued = {
    id,
    key: keys.agent,
    serial,
    entry: name,
    attestor: 'kubernetes',
    facts,
    notAfter: since + 3600,
  };
  events.push(
    {
      event: 'entry.added',
      actor: SYSTEM,
      why: 'rollout',
      data: { entry: name, id, selectors, attributes, hint },
    },
    { event: 'agent.enrolled', actor: SYSTEM, why: '', data: issued },
    { event: 'svid.issued', actor: SYSTEM, why: '', data: issued },
  );
};

const revokedOf = (population: Population): readonly Revoked[] => {
  const { trustDomain, agents, links, keys, tasks, revokedAgents } = population;
  const some = (count: number, make: (index: number) => Revoked): readonly Revoked[] =>
    Array.from({ length: count }, (_, index) => make(index));
  return [
    ...some(links, (index) => ({
      link: digest(),
      parent: digest(),
      delegatee: idOf(trustDomain, index % agents),
    })),
    ...some(keys, () => ({ key: digest() })),
    ...some(tasks, (index) => ({ task: digest(), principal: `mailto:person${index % 200}@${trustDomain}` })),
    ...some(revokedAgents, (index) => ({ agent: idOf(trustDomain, agents - 1 - index) })),
  ];
};

/** Fills the store of a verifier that has been stopped. Resolves to the ID of an agent that is still good. */
export const fillStore = async (directory: string, population: Population): Promise<void> => {
  const store = SqliteStore.open(directory, {
    onWatcherFault: (error) => {
      throw error;
    },
  });
  const records = new Records(store, systemClock);
  const now = Math.floor(Date.now() / 1000);
  try {
    const types = new Edit();
    for (const type of TYPES) types.set(AGENT_TYPE, type, {});
    await records.commit([], types);
    for (let from = 0; from < population.agents; from += PER_COMMIT) {
      const edit = new Edit();
      const events: EventBody[] = [];
      for (let index = from; index < Math.min(from + PER_COMMIT, population.agents); index++)
        addAgent(edit, events, idOf(population.trustDomain, index), now);
      await records.commit(events, edit);
    }
    const edit = new Edit();
    const events: EventBody[] = [];
    for (const revoked of revokedOf(population)) {
      edit.set(REVOCATION, nameOfRevoked(revoked), {
        revoked,
        by: 'local:0',
        why: 'incident 7',
        at: now,
        until: now + 14_400,
      });
      events.push({ event: 'link.revoked', actor: SYSTEM, why: 'incident 7', data: { ...revoked } });
    }
    await records.commit(events, edit);
  } finally {
    await store.close();
  }
};
