/** How operations are made: what is not said is empty. */
import type { JsonObject } from '../encoding/json.ts';
import type { Message, Operation, OperationKind } from './message.ts';

export type Named = Partial<Omit<Operation, 'kind' | 'method'>>;

const NO_ARGUMENTS: JsonObject = Object.freeze(Object.create(null));

export const operation = (kind: OperationKind, method: string, named: Named = {}): Operation => ({
  kind,
  method,
  tool: named.tool ?? '',
  prompt: named.prompt ?? '',
  resource: named.resource ?? '',
  arguments: named.arguments ?? NO_ARGUMENTS,
  skill: named.skill ?? '',
  taskId: named.taskId ?? '',
  contextId: named.contextId ?? '',
  id: named.id,
});

/** A message that is no JSON array. */
export const single = (protocol: Message['protocol'], ...operations: readonly Operation[]): Message => ({
  protocol,
  operations,
  batch: false,
});
