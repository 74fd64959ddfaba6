/** The end of the story: Alice takes her task back, and the next request on its authority is denied. */
import type { ReasonCode } from '../../core/reasons.ts';
import { hasBundle, whereEnforced } from '../enforced.ts';
import type { Alice } from './alice.ts';
import type { Outcome } from './attacker.ts';
import { isOnRecord } from './evidence.ts';
import type { DemoMesh } from './mesh.ts';
import { AGENTS } from './story.ts';

export const TAKEN_BACK: ReasonCode = 'revoked_task';

export interface TakenBack {
  /** The reason that refused the next request, or what happened instead. */
  readonly got: string;
  /** How many sidecars report that they enforce it. */
  readonly enforcing: number;
  /** From her word until the last of them had reported. */
  readonly milliseconds: number;
}

/** What `hopgate revoke task … --as alice` does, and then planning asks once more. */
export const takeBack = async (
  mesh: DemoMesh,
  alice: Alice,
  { handle, task }: { readonly handle: string; readonly task: string },
): Promise<TakenBack> => {
  const started = performance.now();
  const { bundle } = await alice.revokeTask(task);
  const where = await whereEnforced(mesh.verifier.client, hasBundle(bundle), { wait: true, timeout: '10s' });
  const milliseconds = Math.round(performance.now() - started);
  const outcome = await mesh.agent('planning').order<Outcome>('again', { context: handle });
  const recorded = await isOnRecord(mesh.sidecar(AGENTS.planning).logFile, outcome);
  return {
    got: recorded ? outcome.reason : `${outcome.reason}, but not in the log of ${AGENTS.planning}`,
    enforcing: where?.enforcing ?? 0,
    milliseconds,
  };
};
