/** A policy asked about one request, in one step: what stands, then what is now. */

import type { JsonObject } from '../../src/core/encoding/json.ts';
import type { Message } from '../../src/core/message/message.ts';
import type { CompiledPolicy, PolicyDecision, StandingRequest } from '../../src/core/policy/evaluate.ts';
import { decideStanding, standingOf } from '../../src/core/policy/evaluate.ts';
import { type LiveFacts, NOTHING_REGISTERED } from '../../src/core/policy/values.ts';

export interface DecisionRequest extends Omit<StandingRequest, 'direction' | 'query' | 'registered'> {
  readonly live?: Partial<LiveFacts>;
  readonly message?: Message;
}

export const evaluatePolicy = (
  compiled: CompiledPolicy,
  { live, message, ...request }: DecisionRequest,
): PolicyDecision => {
  const standing = standingOf(compiled, {
    direction: 'inbound',
    query: '',
    registered: NOTHING_REGISTERED,
    ...request,
  });
  if (!standing.ok) return standing;
  const now: LiveFacts = {
    nowSeconds: 0,
    score: () => 0,
    headers: () => ({}),
    size: -1,
    labels: [],
    released: false,
    ...live,
  };
  return decideStanding(compiled, standing, now, message);
};

/** A call of a tool, as the reader of MCP bodies yields it. */
export const toolCall = (tool: string, given: JsonObject = {}): Message => ({
  protocol: 'mcp',
  batch: false,
  operations: [
    {
      kind: 'request',
      method: 'tools/call',
      tool,
      prompt: '',
      resource: '',
      arguments: given,
      skill: '',
      taskId: '',
      contextId: '',
      id: 1,
    },
  ],
});
