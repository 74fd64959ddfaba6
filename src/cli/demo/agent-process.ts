/** One agent of the demo as a process of its own: what it sends goes through its sidecar, what it gets comes from there. */
import { isRefusal, meshFetch, withContext } from './agent-fetch.ts';
import { serveAgent } from './agent-server.ts';
import { lastInjected } from './agent-work.ts';
import { takeOrders } from './messages.ts';
import { review } from './planning-work.ts';
import { type AgentRole, CARD_PATH, TAKEN_HOST } from './story.ts';

const role = process.argv[2] as AgentRole;
let seen = 0;

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
  /** Does what a text in the data told it to, as a manipulated agent would. */
  obey: async () => {
    const injected = lastInjected();
    if (injected === undefined) throw new Error('nobody told it anything');
    const response = await withContext(injected.context, () => meshFetch(injected.url, { method: 'POST' }));
    if (!isRefusal(response)) return { reason: 'accepted', hop: '' };
    const { code = '', hop = '' } = (await response.json()) as { code?: string; hop?: string };
    return { reason: code, hop, target: new URL(injected.url).pathname };
  },
});
