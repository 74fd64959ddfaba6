/** A peer that has proven itself and asks for what it may not have, without end, must not fill the disk of whoever refuses it. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Mesh, type MeshAgent, makeMesh } from '../testkit/mesh.ts';
import { openSession, requestText } from '../testkit/raw-peer.ts';

const WHOLE = 5;

let mesh: Mesh;
let target: MeshAgent;
beforeAll(async () => {
  mesh = await makeMesh({ config: { audit: { denialsPerCaller: WHOLE, refusalInterval: '1h' } } });
  target = await mesh.start('inventory/def456');
});
afterAll(() => mesh.stop());

it('the first denials for each reason are on record, the rest is counted, and every one is answered', async () => {
  const planning = mesh.domain.agent('planning/abc123');
  const peer = await openSession(target, planning);
  for (let asked = 0; asked < 40; asked++)
    expect((await peer.ask(requestText({}))).code).toBe('chain_missing');
  // What else it tries is not hidden by the flood.
  expect((await peer.ask(requestText({ headers: ['Delegation-Grant: x'] }))).code).toBe(
    'grant_without_chain',
  );
  peer.close();
  expect(target.seen).toEqual([]);
  target.sidecar.stop('counting');
  const log = target.log();
  const decisions = log.filter(({ kind }) => kind === 'decision').map(({ reason }) => reason);
  expect(decisions).toEqual([...Array(WHOLE).fill('chain_missing'), 'grant_without_chain']);
  expect(log.filter(({ kind }) => kind === 'refusals').flatMap(({ sources }) => sources)).toEqual([
    { source: planning.id, reason: 'chain_missing', count: 40 - WHOLE },
  ]);
});
