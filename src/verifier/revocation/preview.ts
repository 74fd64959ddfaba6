/** What a revocation would cut, as far as anybody knows in advance; and what nobody can know. */
import type { RevocationPreview, RevocationTarget, Revoked } from '../../api/revocations.ts';
import type { Clock } from '../../ports.ts';
import type { SeenHops } from '../policy/enforcement.ts';
import { nameOf, TASK } from '../principals/kinds.ts';
import type { Records } from '../records.ts';
import { HELD_KEY } from '../registry/agent-records.ts';
import type { PresentedLink } from './presented-chain.ts';
import type { Resolved, Revocations } from './revocations.ts';

export interface PreviewParts {
  readonly records: Records;
  readonly clock: Clock;
  readonly revocations: Revocations;
  /** Where agents were seen in the last reports of sidecars. */
  readonly seen: (agents: ReadonlySet<string>) => readonly SeenHops[];
}

type Touched = RevocationPreview['agents'][number];
type KnownTask = RevocationPreview['tasks'][number];

const MOST_SHOWN = 200;

const GRANTS =
  'Links that agents have made below it: the verifier is on no request’s path, and doesn’t see them. They end with it all the same.';
const CONNECTIONS =
  'Open connections and streams: sidecars report hops, not what is open. They are cut when the bundle arrives.';
const OFFLINE =
  'Sidecars that don’t report. They go on until they hear of it, or until policy’s maxStaleness.';
const REMADE = 'Whether its parent is delegated to anew: that makes another link, which this does not bar.';
const BARE =
  'Who holds this link: only its id was given. Given the chain, making it again would be barred too.';
const TASKS = 'Tasks that were started without the verifier hearing of them. They end all the same.';

const ofLink = (presented: PresentedLink | undefined): { agents: Touched[]; unknown: string[] } => {
  if (presented === undefined) return { agents: [], unknown: [BARE] };
  const agents = presented.below.map((id, index) => ({
    id,
    effect: index === 0 ? 'loses what this link granted' : 'loses what was granted on below it',
  }));
  return { agents, unknown: presented.parent === undefined ? [] : [REMADE] };
};

const tasksOf = async (
  { records, clock }: PreviewParts,
  revoked: Revoked,
  presented: PresentedLink | undefined,
): Promise<readonly (KnownTask & { readonly parties: readonly string[] })[]> => {
  const now = Math.floor(clock.now() / 1000);
  const principal = 'principal' in revoked ? revoked.principal : presented?.principal;
  if (principal === undefined) return [];
  const all = (await records.list(TASK, { below: `${nameOf(principal)}/` })).map(({ value }) => value);
  return all.filter(
    (one) =>
      one.ended === undefined &&
      one.exp > now &&
      ('before' in revoked
        ? one.start < revoked.before
        : 'task' in revoked
          ? one.task === revoked.task
          : // A link ends its task only where it is the task's first.
            presented?.parent === undefined && one.task === presented?.task),
  );
};

const agentsOf = async (
  { records }: PreviewParts,
  { revoked, presented }: Resolved,
): Promise<{ readonly agents: readonly Touched[]; readonly unknown: readonly string[] }> => {
  if ('link' in revoked) return ofLink(presented);
  if ('agent' in revoked)
    return {
      agents: [{ id: revoked.agent, effect: 'is nobody any more, under every key; gets no credentials' }],
      unknown: [],
    };
  if ('key' in revoked) {
    const held = await records.get(HELD_KEY, revoked.key);
    return held === undefined
      ? { agents: [], unknown: ['Whose key this is: the verifier has certified none like it.'] }
      : {
          agents: [{ id: held.value.id, effect: 'needs a new key; what was granted to this one has ended' }],
          unknown: [],
        };
  }
  return { agents: [], unknown: [TASKS] };
};

/** Throws what {@link Revocations.resolve} throws. */
export const previewRevocation = async (
  parts: PreviewParts,
  target: RevocationTarget,
): Promise<RevocationPreview> => {
  const resolved = await parts.revocations.resolve(target);
  const { revoked, until, presented } = resolved;
  const touched = await agentsOf(parts, resolved);
  const tasks = await tasksOf(parts, revoked, presented);
  const parties = tasks.flatMap((task) =>
    task.parties.map((id) => ({ id, effect: `loses task ${task.task}` })),
  );
  const agents = [...touched.agents, ...parties].slice(0, MOST_SHOWN);
  const hops = parts.seen(new Set(agents.map(({ id }) => id)));
  return {
    revoked,
    until,
    onRecord: (await parts.revocations.find(revoked)) !== undefined,
    agents,
    tasks: tasks.slice(0, MOST_SHOWN).map(({ task, principal, exp }) => ({ task, principal, exp })),
    hops: hops.slice(0, MOST_SHOWN),
    unknown: [...touched.unknown, GRANTS, CONNECTIONS, OFFLINE],
  };
};
