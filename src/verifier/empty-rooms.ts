/** What stands where a room is empty: nobody is barred, no policy is published, and nothing can be revoked. */
import type { ChainLimits } from '../core/delegation/model.ts';
import type { TaskRevoking } from './principals/tasks.ts';
import type { PolicyWords } from './principals/trust.ts';
import type { Sources } from './publication/sources.ts';
import { Refusal } from './refusal.ts';
import type { Barring } from './registry/barring.ts';

export const nobodyBarred: Barring = {
  bar: async () => [],
  keyLost: async () => [],
  barred: async () => undefined,
};

export const nothingRevocable: TaskRevoking = {
  revokeTask: async () => {
    throw new Refusal('api_unavailable', 'this verifier can’t revoke');
  },
};

const LIMITS: ChainLimits = { maxDepth: 3, linkTtlSeconds: 7200, callbacks: false, humanRoot: true };

export const noPolicy: PolicyWords = { current: async () => ({ scopeSets: {}, limits: LIMITS }) };

export const noSources: Sources = {
  anchors: { kinds: [], read: () => [] },
  approvers: { kinds: [], read: () => [] },
  policy: { kinds: [], read: () => undefined },
  lists: { kinds: [], read: () => undefined },
  revocations: { kinds: [], read: () => [] },
  scores: { kinds: [], read: () => undefined },
  domains: { kinds: [], read: () => ({}) },
};
