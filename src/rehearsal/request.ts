/** A request that nobody sent: all that a decision can depend on. */
import type { Callee } from '../core/policy/destination.ts';
import type { CallerProof } from '../core/policy/proofs.ts';
import type { RehearsedChain } from './mesh.ts';

export interface RehearsedRequest {
  readonly direction: 'inbound' | 'outbound';
  readonly callee: Callee;
  readonly proof: CallerProof;
  readonly method: string;
  /** Origin form, with its query. */
  readonly target: string;
  /** Name, value, name, value …. */
  readonly headers: readonly string[];
  readonly body: Buffer;
  readonly chain: RehearsedChain;
  /** Seconds. */
  readonly nowSeconds: number;
  /** Of what the task has touched before. */
  readonly labels: readonly string[];
  /** Of every agent that isn't named in `scores`. */
  readonly score: number;
  readonly scores: Readonly<Record<string, number>>;
  /** By agent ID, as registered. */
  readonly attributes: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Of the principal. */
  readonly groups: readonly string[];
  /** What other decision points say; one that isn't named can't be asked. */
  readonly points: Readonly<Record<string, 'permit' | 'deny'>>;
  /** As if a human had approved whatever policy wants approved. */
  readonly approved: boolean;
  /** As if a reviewer had released it. */
  readonly released: boolean;
}
