/** The end of a stream that is cut, in the words of its protocol: its reader would go on waiting else, or not know why it ended. */
import type { RpcId } from '../core/message/json-rpc.ts';
import type { Permit } from './permit.ts';

/** Of JSON-RPC. */
const INTERNAL_ERROR = -32603;
/** Half an event may stand before it. */
const END_OF_EVENT = '\n\n';

/** An error to each of these requests; undefined where there is none. `problem` is JSON. */
export const errorEvents = (ids: readonly RpcId[], problem: string): Uint8Array | undefined => {
  if (ids.length === 0) return undefined;
  const data = JSON.parse(problem) as { code: string; title: string };
  const error = { code: INTERNAL_ERROR, message: `Hopgate: ${data.code}: ${data.title}`, data };
  const events = ids.map(
    (id) => `event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', id, error })}\n\n`,
  );
  return Buffer.from(END_OF_EVENT + events.join(''));
};

/** The same of A2A, whose streams belong to one request: over JSON-RPC to that, over HTTP+JSON as an event of its own type. */
export const a2aErrorEvents = (
  { route, input: { message } }: Permit,
  problem: string,
): Uint8Array | undefined => {
  if (route.protocol === 'a2a-rest') return Buffer.from(`${END_OF_EVENT}event: error\ndata: ${problem}\n\n`);
  const operations = route.protocol === 'a2a' && message?.ok ? message.value.operations : [];
  const ids = new Set(operations.flatMap(({ id }) => id ?? []));
  return errorEvents([...ids], problem);
};
