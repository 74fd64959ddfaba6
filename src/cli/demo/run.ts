/** The demo from beginning to end: a mesh, the review, the attacks, a task taken back, the logs. Whatever differs from what it should be is a fault. */
import type { Trace } from '../../core/audit/trace.ts';
import { isReasonCode } from '../../core/reasons.ts';
import { type AuditReport, readIssuers, verifyLogs } from '../audit-verify.ts';
import { nowSeconds } from '../time-words.ts';
import type { Alice, AliceGrant } from './alice.ts';
import { Attacker, type Outcome, readDemoBundle, targetOf } from './attacker.ts';
import { type Attack, makeAttacks } from './attacks.ts';
import type { Children } from './children.ts';
import { isOnRecord, readTrace } from './evidence.ts';
import { DemoMesh } from './mesh.ts';
import {
  ACTIONS,
  AGENT_ROLES,
  AGENTS,
  ALICE,
  ALL_ACTIONS,
  API_OF,
  APIS,
  idOf,
  REVIEW,
  TAKEN,
  WORKER_ROLES,
} from './story.ts';
import { TAKEN_BACK, type TakenBack, takeBack } from './take-back.ts';
import { TakenDoor } from './taken-door.ts';

export interface AttackResult {
  readonly attack: Attack;
  /** The reason that refused it, or what happened instead. */
  readonly got: string;
}

/** Hears of the demo as it goes. */
export interface Audience {
  meshReady(seconds: number): void;
  taskStarted(task: string, scope: string): void;
  acted(done: number, of: number): void;
  reviewed(trace: Trace): void;
  /** `of`: how many there will be. */
  attacked(result: AttackResult, of: number): void;
  takenBack(result: TakenBack): void;
  verified(report: AuditReport): void;
}

export interface DemoOptions {
  readonly directory: string;
  readonly children: Children;
  readonly audience: Audience;
  /** Leaves the mesh running; its logs are then verified as they are. */
  readonly keep: boolean;
  /** YAML, in place of the story's own: what it refuses an attack with is then its own word, too. */
  readonly policy?: string | undefined;
}

export interface DemoResult {
  readonly mesh: DemoMesh;
  readonly handle: string;
  readonly task: string;
  readonly trace: Trace;
  readonly attacks: readonly AttackResult[];
  readonly takenBack: TakenBack;
  readonly report: AuditReport;
  readonly faults: readonly string[];
}

const REVIEW_TTL_SECONDS = 3600;
const HOUR_SECONDS = 3600;
const OLD_TTL_SECONDS = 900;

export const runDemo = async ({
  directory,
  children,
  audience,
  keep,
  policy,
}: DemoOptions): Promise<DemoResult> => {
  const started = performance.now();
  let done = 0;
  const mesh = new DemoMesh(
    directory,
    children,
    (_role, count) => {
      done += count;
      audience.acted(done, ALL_ACTIONS);
    },
    policy,
  );
  const alice = await mesh.makeDomain();
  const bundle = readDemoBundle(mesh.bundleFile, mesh.trust.root);
  const insider = new Attacker(mesh.folderOf(TAKEN.inventory), bundle);
  const accomplice = new Attacker(mesh.folderOf(TAKEN.contractor), bundle);
  const door = new TakenDoor(insider);
  try {
    await mesh.start(await door.listen());
    audience.meshReady((performance.now() - started) / 1000);
    const review = await doReview(mesh, alice, audience);
    const attacks = await doAttacks(mesh, alice, { insider, accomplice, door }, audience);
    const takenBack = await takeBack(mesh, alice, review);
    audience.takenBack(takenBack);
    const stopFaults = keep ? [] : await stopAll(mesh);
    const issuers = await readIssuers([mesh.bundleFile], mesh.trust.root);
    const report = await verifyLogs(mesh.logFiles, issuers);
    audience.verified(report);
    const after = await readTrace(mesh.logFiles, review.task, ALICE.uri);
    return {
      ...review,
      mesh,
      attacks,
      takenBack,
      report,
      faults: [
        ...review.faults,
        ...attacks.flatMap(({ attack, got }) =>
          got === attack.expected || (policy !== undefined && isReasonCode(got))
            ? []
            : [`${attack.name}: ${got}, not ${attack.expected}`],
        ),
        ...takenBackFaults(mesh, takenBack),
        ...stopFaults,
        ...auditFaults(report, keep),
        ...(after.actions === review.trace.actions ? [] : ['the task has more actions after the attacks']),
      ],
    };
  } finally {
    door.close();
  }
};

interface Review {
  readonly handle: string;
  readonly task: string;
  readonly trace: Trace;
  readonly faults: readonly string[];
}

const planningOf = async (mesh: DemoMesh): Promise<AliceGrant['to']> => {
  const id = idOf(AGENTS.planning);
  return { id, x: await mesh.verifier.keyOf(id) };
};

const doReview = async (mesh: DemoMesh, alice: Alice, audience: Audience): Promise<Review> => {
  const chain = alice.grant({
    to: await planningOf(mesh),
    scope: [REVIEW],
    maxDepth: 2,
    ttlSeconds: REVIEW_TTL_SECONDS,
    at: nowSeconds(),
  });
  const { handle, task } = await mesh.startTask(chain);
  audience.taskStarted(task, REVIEW);
  await mesh.agent('planning').order('review', { context: handle });
  const trace = await readTrace(mesh.logFiles, task, ALICE.uri);
  audience.reviewed(trace);
  const seen = await mesh.seen();
  const faults = [
    ...traceFaults(trace),
    ...WORKER_ROLES.flatMap((role) => {
      const name = APIS[API_OF[role]];
      return seen.get(name) === ACTIONS[role]
        ? []
        : [`${name} saw ${seen.get(name)} requests, not ${ACTIONS[role]}`];
    }),
  ];
  return { handle, task, trace, faults };
};

/** Actions by agent, wherever in the tree. */
export const actionsOf = (trace: Trace): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>();
  const walk = (nodes: Trace['roots']): void => {
    for (const { agent, actions, children } of nodes) {
      counts.set(agent, (counts.get(agent) ?? 0) + actions);
      walk(children);
    }
  };
  walk(trace.roots);
  return counts;
};

const traceFaults = (trace: Trace): readonly string[] => {
  const counts = actionsOf(trace);
  const faults = AGENT_ROLES.flatMap((role) => {
    const got = counts.get(idOf(AGENTS[role])) ?? 0;
    return got === ACTIONS[role] ? [] : [`${AGENTS[role]} made ${got} actions, not ${ACTIONS[role]}`];
  });
  if (trace.actions !== ALL_ACTIONS) faults.push(`${trace.actions} actions, not ${ALL_ACTIONS}`);
  if (trace.agents !== AGENT_ROLES.length) faults.push(`${trace.agents} agents acted, not 5`);
  if (trace.untraced !== 0) faults.push(`${trace.untraced} actions can't be traced to ${ALICE.uri}`);
  if (trace.denials !== 0) faults.push(`${trace.denials} requests of the review were denied`);
  return faults;
};

interface Attackers {
  readonly insider: Attacker;
  readonly accomplice: Attacker;
  readonly door: TakenDoor;
}

const doAttacks = async (
  mesh: DemoMesh,
  alice: Alice,
  { insider, accomplice, door }: Attackers,
  audience: Audience,
): Promise<readonly AttackResult[]> => {
  // Two later tasks of Alice's lead planning to the agent that was taken over: so he comes by his loot.
  const now = nowSeconds();
  const to = await planningOf(mesh);
  const later = { to, ttlSeconds: REVIEW_TTL_SECONDS, at: now };
  const tasks = [
    alice.grant({ ...later, scope: [REVIEW], maxDepth: 4 }),
    alice.grant({ ...later, scope: ['inventory:ask', 'cloud:read'], maxDepth: 2 }),
  ];
  for (const chain of tasks) {
    const { handle } = await mesh.startTask(chain);
    await mesh.agent('planning').order('discover', { context: handle });
  }
  const [review, quickLook] = door.loot;
  if (review === undefined || quickLook === undefined)
    throw new Error('planning did not reach its second inventory agent');
  const { id, key } = insider.identity;
  const oldGrant = alice.grant({
    to: { id, x: key.x },
    scope: ['cloud:inventory'],
    maxDepth: 2,
    ttlSeconds: OLD_TTL_SECONDS,
    at: now - HOUR_SECONDS,
  });
  const attacks = makeAttacks({
    insider,
    accomplice,
    review,
    quickLook,
    oldGrant,
    target: (name) => targetOf(name, mesh.sidecar(name).inboundPort),
    obey: () => mesh.agent('inventory').order<Outcome>('obey'),
  });
  const results: AttackResult[] = [];
  for (const attack of attacks) {
    const result = { attack, got: await runAttack(mesh, attack) };
    audience.attacked(result, attacks.length);
    results.push(result);
  }
  return results;
};

/** The reason that refused an attack, if its victim saw nothing and the refusal is on record. */
const runAttack = async (mesh: DemoMesh, { run, at, victim }: Attack): Promise<string> => {
  const before = (await mesh.seen()).get(victim);
  let outcome: Outcome;
  try {
    outcome = await run();
  } catch (error) {
    return `failed (${(error as Error).message})`;
  }
  if ((await mesh.seen()).get(victim) !== before) return `${outcome.reason}, but ${victim} saw it`;
  const recorded = await isOnRecord(mesh.sidecar(at).logFile, outcome);
  return recorded ? outcome.reason : `${outcome.reason}, but not in the log of ${at}`;
};

const takenBackFaults = (mesh: DemoMesh, { got, enforcing }: TakenBack): readonly string[] => [
  ...(got === TAKEN_BACK ? [] : [`after it was taken back: ${got}, not ${TAKEN_BACK}`]),
  ...(enforcing === mesh.sidecars.size
    ? []
    : [`${enforcing} of ${mesh.sidecars.size} sidecars report that they enforce the revocation`]),
];

const stopAll = async (mesh: DemoMesh): Promise<readonly string[]> => {
  const sidecars = [...mesh.sidecars.values()].map(({ name, child }) => ({
    name: `the sidecar of ${name}`,
    child,
  }));
  const ends = await Promise.all(
    sidecars.map(async ({ name, child }) => ((await child.stop()) ? [] : [name])),
  );
  // Behind its last report.
  if (!(await mesh.verifier.stop())) ends.push(['the verifier']);
  return ends.flat().map((name) => `${name} did not end cleanly`);
};

const auditFaults = ({ files, unmatched }: AuditReport, running: boolean): readonly string[] => [
  ...files.flatMap(({ file, fault, endedCleanly }) => {
    if (fault !== undefined) return [`${file}:${fault.line}: ${fault.reason}: ${fault.detail}`];
    return running || endedCleanly ? [] : [`${file}: does not end cleanly`];
  }),
  ...unmatched.map(({ name, shownBy, count }) => `${name} lacks ${count} hops that ${shownBy} shows`),
];
