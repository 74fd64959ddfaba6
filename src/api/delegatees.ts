/** What somebody who delegates must know of the one to whom: the key that the link is for. */
import { z } from 'zod';
import { isAgentId } from '../core/spiffe-id.ts';
import { endpoint } from './endpoint.ts';
import { noBody, none } from './forms.ts';
import { publicKey } from './principals.ts';

const agentId = z.string().refine(isAgentId, 'an agent ID');

export const delegateeEndpoints = {
  getAgentKey: endpoint({
    name: 'getAgentKey',
    method: 'GET',
    path: '/v1/agents/{id}/key',
    summary: 'The public agent key of a live agent, as a link to it names it',
    access: 'member',
    changes: false,
    params: z.strictObject({ id: agentId }),
    query: none,
    body: noBody,
    answer: z.strictObject({ id: agentId, x: publicKey }),
    status: 200,
  }),
};
