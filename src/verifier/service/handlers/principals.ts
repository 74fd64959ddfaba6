/** People, logins and tasks: from the contract to the rooms that hold them. */
import type { delegateeEndpoints } from '../../../api/delegatees.ts';
import type { loginEndpoints } from '../../../api/logins.ts';
import type { principalEndpoints } from '../../../api/principals.ts';
import type { taskEndpoints } from '../../../api/tasks.ts';
import type { AgentId } from '../../../core/spiffe-id.ts';
import type { Clock } from '../../../ports.ts';
import type { Logins } from '../../principals/logins.ts';
import type { OidcIssuers } from '../../principals/oidc-issuers.ts';
import type { Principals } from '../../principals/principals.ts';
import type { Sessions } from '../../principals/sessions.ts';
import type { Tasks } from '../../principals/tasks.ts';
import type { Records } from '../../records.ts';
import { Refusal } from '../../refusal.ts';
import { AGENT } from '../../registry/agent-records.ts';
import type { Handlers } from '../handler.ts';

export const principalHandlers = ({
  principals,
  issuers,
}: {
  readonly principals: Principals;
  readonly issuers: OidcIssuers;
}): Handlers<typeof principalEndpoints> => ({
  listPrincipals: async () => ({ principals: [...(await principals.list())] }),
  getPrincipal: ({ params }) => principals.get(params.uri),
  addPrincipal: ({ actor, body }) => principals.add(actor, body),
  changePrincipal: ({ actor, params, body }) => principals.change(actor, params.uri, body),
  removePrincipal: async ({ actor, params, body }) => {
    await principals.remove(actor, params.uri, body.why);
    return undefined;
  },
  addPrincipalKey: ({ actor, params, body }) => principals.addKey(actor, params.uri, body),
  removePrincipalKey: ({ actor, params, body }) =>
    principals.removeKey(actor, params.uri, params.thumbprint, body.why),
  listLoginIssuers: async () => ({
    issuers: (await issuers.list()).map(({ issuer, clientId, scopes }) => ({ issuer, clientId, scopes })),
  }),
  listOidcIssuers: async () => ({
    issuers: [...(await issuers.list())],
    subjects: [...(await issuers.subjects())],
  }),
  putOidcIssuer: ({ actor, body: { why, ...issuer } }) =>
    issuers.put(actor, { ...issuer, audience: issuer.audience ?? issuer.clientId }, why),
  removeOidcIssuer: async ({ actor, body }) => {
    await issuers.remove(actor, body.issuer, body.why);
    return undefined;
  },
  putOidcSubject: ({ actor, body: { why, ...subject } }) => issuers.putSubject(actor, subject, why),
  removeOidcSubject: async ({ actor, body }) => {
    await issuers.removeSubject(actor, body.issuer, body.subject, body.why);
    return undefined;
  },
});

export const loginHandlers = ({
  logins,
  sessions,
}: {
  readonly logins: Logins;
  readonly sessions: Sessions;
}): Handlers<typeof loginEndpoints> => ({
  startLogin: ({ body }) => logins.start(body.issuer, body.flow),
  finishLogin: ({ actor, body }) => logins.finish(actor, body),
  endSession: async ({ actor, query }) => {
    const id = (query.session as AgentId | undefined) ?? actor.id;
    if (id === undefined) throw new Refusal('api_not_found', 'this connection is no session');
    const operates = actor.roles.has('admin') || actor.roles.has('operator');
    if (id !== actor.id && !operates)
      throw new Refusal('api_forbidden', 'a session is ended by itself or by an operator');
    await sessions.end(actor, id);
    return undefined;
  },
});

export const taskHandlers = ({ tasks }: { readonly tasks: Tasks }): Handlers<typeof taskEndpoints> => ({
  listTasks: async ({ query }) => ({ tasks: [...(await tasks.list(query.principal))] }),
  registerTask: ({ actor, body }) => tasks.register(actor, body.chain),
  endTask: async ({ actor, params, body }) => {
    const { task, principal, ended } = await tasks.end(actor, { ...body, task: params.task });
    return { task, principal, ended };
  },
  renewTask: ({ actor, params, body }) => tasks.renew(actor, { ...body, task: params.task }),
});

export const delegateeHandlers = ({
  records,
  clock,
}: {
  readonly records: Records;
  readonly clock: Clock;
}): Handlers<typeof delegateeEndpoints> => ({
  getAgentKey: async ({ params: { id } }) => {
    const agent = (await records.get(AGENT, id))?.value;
    if (agent === undefined || agent.state !== 'live')
      throw new Refusal('api_not_found', `${id} is no agent that has joined`);
    if (agent.svidNotAfter <= clock.now() / 1000)
      throw new Refusal(
        'api_not_found',
        `${id} has not renewed its SVID, which ended at ${agent.svidNotAfter}`,
      );
    return { id, x: agent.agentX };
  },
});
