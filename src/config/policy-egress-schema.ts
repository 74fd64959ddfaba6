/** `egress` of a policy: the list of what may leave the mesh. */
import { z } from 'zod';
import { destination, privateRange, ruleName } from './forms.ts';
import { routeMembers } from './policy-route-schema.ts';

const { callees: _agents, enforcement: _observed, observeUntil: _end, ...members } = routeMembers;

export const egress = z
  .strictObject({
    ...members,
    name: ruleName.describe('Stands in the audit log and in rules, as the name of a route does.'),
    destination: destination.describe('Host and port, exactly. A host on several ports has several entries.'),
    mode: z
      .enum(['api', 'tunnel'])
      .default('api')
      .describe(
        'api: the agent sends plain HTTP to its sidecar, which decides on each request and speaks TLS to the destination. tunnel: CONNECT, permitted whole; nothing in it is read.',
      ),
    path: members.path
      .optional()
      .describe('api: canonical path. {name} stands for one segment, a final /* for one or more.'),
    scopes: members.scopes.describe(
      'All of these are required. Literals; {name} is filled from the path. May be left out where operations name theirs.',
    ),
    inside: z
      .enum(['tls', 'any'])
      .optional()
      .describe(
        'tunnel: tls, if left out, demands TLS that names the host of the destination and hides no other; any looks at nothing.',
      ),
    allowPrivate: z
      .array(privateRange)
      .min(1)
      .max(16)
      .optional()
      .describe(
        'Private addresses at which the destination may be. Loopback, link-local and metadata addresses are never dialled, whatever stands here.',
      ),
  })
  .superRefine(({ mode, path, methods }, context) => {
    const issue = (member: string, message: string): void =>
      context.addIssue({ code: 'custom', path: [member], message });
    if (mode === 'api' && path === undefined) issue('path', 'is missing: what may be asked of the API');
    if (mode === 'tunnel' && path !== undefined)
      issue('path', 'says nothing of a tunnel, in which no request is read');
    if (mode === 'tunnel' && methods !== undefined)
      issue('methods', 'says nothing of a tunnel, in which no request is read');
  });
