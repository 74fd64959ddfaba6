/** One agent of the demo as a process of its own: what it sends goes through its sidecar, what it gets comes from there. */
import { isRefusal, meshFetch, withContext } from './agent-fetch.ts';
import { serveAgent } from './agent-server.ts';
import { lastInjected } from './agent-work.ts';
import { takeOrders } from './messages.ts';
import { review } from './planning-work.ts';
import { ACCEPTED, type AgentRole, CARD_PATH, hostOf, TAKEN_HOST } from './story.ts';

const role = process.argv[2] as AgentRole;
let seen = 0;

/** What came of a request: the reason that refused it, if one did. */
const outcomeOf = async (url: string, response: Response) => {
  if (!isRefusal(response)) return { reason: ACCEPTED, hop: '' };
  const { code = '', hop = '' } = (await response.json()) as { code?: string; hop?: string };
  return { reason: code, hop, target: new URL(url).pathname };
};

takeOrders({
  listen: (_args, handle) => {
    if (handle === undefined) throw new Error('no port was handed over');
    return serveAgent(role, handle, () => {
      seen++;
    });
  },
  seen: () => seen,
  /** The task that starts here, on the authority of the handle that `task start` gave. */
  review: ({ context }) => withContext(String(context), review),
  /** Looks up the second inventory agent. */
  discover: ({ context }) =>
    withContext(String(context), async () => (await meshFetch(`http://${TAKEN_HOST}${CARD_PATH}`)).status),
  /** Asks the first one again, on the authority of a task that may have ended. */
  again: async ({ context }) => {
    const url = `http://${hostOf('inventory')}${CARD_PATH}`;
    return outcomeOf(url, await withContext(String(context), () => meshFetch(url)));
  },
  /** Does what a text in the data told it to, as a manipulated agent would. */
  obey: async () => {
    const injected = lastInjected();
    if (injected === undefined) throw new Error('nobody told it anything');
    const { url, context } = injected;
    return outcomeOf(url, await withContext(context, () => meshFetch(url, { method: 'POST' })));
  },
});
