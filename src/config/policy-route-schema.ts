/** `routes` of a policy: what a request needs, how its body is read, and what kind of data goes by it. */
import { z } from 'zod';
import { DEFAULT_MESSAGE_BYTES, MAX_MESSAGE_BYTES } from '../core/limits.ts';
import { bytes, idPattern, label, moment, ruleName, toolDigest } from './forms.ts';

const MIB = 1_048_576;
const template = z.string().meta({ title: 'scope template' });
const method = z
  .string()
  .regex(/^[A-Z]+$/, 'a method in upper case')
  .meta({ title: 'method' });
const operationMethod = z.string().min(1).max(256).meta({ title: 'operation' });
const operationName = z.string().min(1).max(256).meta({ title: 'name of a tool, prompt, resource or skill' });

/** Of a message, a body or what is held of it. */
export const messageBytes = bytes.refine((value) => value <= MAX_MESSAGE_BYTES, {
  error: `${MAX_MESSAGE_BYTES / MIB}MiB at most`,
  abort: true,
});

const operation = z.strictObject({
  methods: z
    .array(operationMethod)
    .min(1)
    .optional()
    .describe(
      '`tools/call`, `notifications/*`, `SendMessage` (of A2A the name of version 1.0); any, if left out.',
    ),
  names: z
    .array(operationName)
    .min(1)
    .optional()
    .describe(
      'Tools, prompts, resources or skills, as the method has them; a final * stands for the rest. Any, if left out.',
    ),
  scopes: z
    .array(template)
    .default([])
    .describe('Required besides those of the route. Also {server}, {method}, {tool}, {prompt}, {skill}.'),
});

const tools = z.strictObject({
  filter: z
    .boolean()
    .default(false)
    .describe('Whether tools that the chain may not call are left out of `tools/list`.'),
  approved: z
    .record(z.string().min(1).max(256).meta({ title: 'tool' }), toolDigest)
    .default({})
    .describe('The definitions that were approved, each by its SHA-256.'),
  changed: z
    .enum(['deny', 'flag'])
    .default('deny')
    .describe('What becomes of a tool whose definition is not the approved one any more.'),
  unlisted: z
    .enum(['deny', 'flag', 'allow'])
    .optional()
    .describe(
      'And of one that nobody has approved. If left out: deny where any tool is approved, else allow.',
    ),
});

const labels = z.strictObject({
  request: z.array(label).default([]).describe('What requests carry.'),
  response: z.array(label).default([]).describe('What the task has touched once it was answered.'),
});

export const routeMembers = {
  name: ruleName.describe('Stands in the audit log and in rules.'),
  callees: z.array(idPattern).min(1).optional().describe('Agents that this is about; any, if left out.'),
  methods: z.array(method).min(1).optional().describe('Methods; any, if left out.'),
  path: z
    .string()
    .regex(/^\//, 'path starts with "/"')
    .meta({ title: 'path' })
    .describe('Canonical path. {name} stands for one segment, a final /* for one or more.'),
  scopes: z
    .array(template)
    .min(1)
    .optional()
    .describe(
      'All of these are required, whatever the body says. Literals; {name} is filled from the path. May be left out where operations name theirs.',
    ),
  protocol: z
    .enum(['http', 'mcp', 'a2a', 'a2a-rest', 'websocket'])
    .default('http')
    .describe(
      'How bodies are read: http not at all, mcp as streamable HTTP, a2a as JSON-RPC, a2a-rest as A2A’s HTTP+JSON binding. What can’t be read so is denied. websocket: upgrades alone, each permitted whole by the scopes of the route, since nothing in it is read.',
    ),
  server: z.string().min(1).max(256).optional().describe('What {server} stands for: one scope segment.'),
  operations: z
    .array(operation)
    .min(1)
    .optional()
    .describe('What the operations of a message need. The first that matches counts; none is a denial.'),
  serverRequests: z
    .array(operationMethod)
    .min(1)
    .optional()
    .describe(
      'mcp: requests that the server may send to its client, such as `elicitation/create`; none unless named.',
    ),
  tools: tools.optional().describe('mcp: what becomes of the tools that a server offers.'),
  skillMember: z
    .string()
    .regex(/^[!-~]{1,128}$/, 'the name of a metadata member: printable, without blanks')
    .optional()
    .describe('a2a, a2a-rest: the metadata member that names the skill; `skillId`, if left out.'),
  maxMessage: messageBytes
    .optional()
    .describe(
      `The largest body that is read; more is denied. ${DEFAULT_MESSAGE_BYTES / MIB}MiB, if left out.`,
    ),
  labels: labels
    .optional()
    .describe('What kind of data goes in and comes out; conditions and demands go by it.'),
  enforcement: z
    .enum(['enforce', 'observe'])
    .default('enforce')
    .describe(
      'observe: what policy would deny on this route is let through and logged, until observeUntil. Identity, handshake and chain are always enforced.',
    ),
  observeUntil: moment.optional().describe('The end of observe; from then on the route is enforced.'),
};

export const route = z
  .strictObject(routeMembers)
  .refine(({ enforcement, observeUntil }) => enforcement !== 'observe' || observeUntil !== undefined, {
    path: ['enforcement'],
    error: 'observe needs its end: observeUntil: 2026-12-31T00:00:00Z',
  })
  .refine(({ enforcement, observeUntil }) => enforcement === 'observe' || observeUntil === undefined, {
    path: ['observeUntil'],
    error: 'the end of what? It belongs to enforcement: observe',
  });
