/** What may leave the mesh, as a policy lists it (SPEC.md section 13.6). */
import type { Case } from './case.ts';
import { bad, type Edit, ok } from './policy-required.ts';
import { INVENTORY } from './world.ts';

const API = {
  name: 'chat',
  destination: 'api.llm.example:443',
  mode: 'api',
  methods: ['POST'],
  path: '/v1/{kind}',
  scopes: ['llm:{kind}'],
};
const TUNNEL = {
  name: 'db',
  destination: 'db.partner.example:5432',
  mode: 'tunnel',
  methods: ['CONNECT'],
  path: '/',
  scopes: ['partner:query'],
};

const listed = (comment: string, ...egress: readonly Edit[]): Case => bad(comment, { egress });
const api = (comment: string, edit: Edit): Case => listed(comment, { ...API, ...edit });
const tunnel = (comment: string, edit: Edit): Case => listed(comment, { ...TUNNEL, ...edit });
const range = (one: string): Case => api(`${one} is no private range`, { allowPrivate: [one] });
const destination = (one: string): Case => api(`"${one}" is no destination`, { destination: one });

export const egressCases = (): Case[] => [
  ok('what may leave the mesh', {
    egress: [
      {
        ...API,
        allowPrivate: ['10.0.0.0/8', '172.16.0.0/12', '192.168.7.0/24', '100.64.0.0/10', 'fd12:3456::/32'],
      },
      { ...TUNNEL, inside: 'any', labels: { request: [], response: ['partner'] } },
      { ...TUNNEL, name: 'feed', destination: 'feed.partner.example:8443', inside: 'tls' },
      {
        name: 'tools',
        destination: 'mcp.vendor.example:443',
        mode: 'api',
        path: '/mcp',
        scopes: [],
        protocol: 'mcp',
        operations: [{ methods: ['tools/call'], names: ['search'], scopes: ['vendor:search'] }],
      },
    ],
  }),
  ok('nothing may leave the mesh', { egress: [] }),
  ok('a rule that names what may leave', {
    egress: [API],
    rules: [{ name: 'out', effect: 'deny', routes: ['chat'], when: 'request.destination != ""' }],
  }),
  bad('a rule that names what may not', {
    egress: [API],
    rules: [{ name: 'out', effect: 'deny', routes: ['caht'] }],
  }),
  destination('api.llm.example'),
  destination('API.llm.example:443'),
  destination('api.llm.example.:443'),
  destination('127.0.0.1:443'),
  destination('api.0x7f:443'),
  destination('localhost:443'),
  destination('api.localhost:443'),
  destination('api.llm.example:0443'),
  destination('api.llm.example:65536'),
  destination('*.llm.example:443'),
  range('8.8.8.0/24'),
  range('127.0.0.0/8'),
  range('169.254.0.0/16'),
  range('10.0.0.1/8'),
  range('10.0.0.0/7'),
  range('fe80::/10'),
  range('fc00::/7'),
  range('fd12:3456::/16'),
  range('::ffff:10.0.0.0/104'),
  api('no private range', { allowPrivate: [] }),
  api('no mode', { mode: undefined }),
  api('callees of what leaves', { callees: [INVENTORY.id] }),
  api('what leaves is observed only', { observeUntil: 1_800_000_000 }),
  api('CONNECT to an API', { methods: ['CONNECT'] }),
  api('TRACE to an API', { methods: ['TRACE'] }),
  api('what is inside an API', { inside: 'tls' }),
  api('no scope of what leaves', { scopes: [] }),
  tunnel('a path of a tunnel', { path: '/x' }),
  tunnel('a method of a tunnel', { methods: ['GET'] }),
  tunnel('no method of a tunnel', { methods: undefined }),
  tunnel('a protocol of a tunnel', { protocol: 'websocket' }),
  listed('two of one name', API, { ...TUNNEL, name: 'chat' }),
  listed('the name of a route', { ...API, name: 'reports' }),
  listed('two tunnels to one destination', TUNNEL, { ...TUNNEL, name: 'db-2' }),
  listed('a tunnel around an API', API, { ...TUNNEL, destination: API.destination }),
  listed('two answers to where a destination may be', API, {
    ...API,
    name: 'b',
    allowPrivate: ['10.0.0.0/8'],
  }),
];
