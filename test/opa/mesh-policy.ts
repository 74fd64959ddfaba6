/** A policy such as a security team writes, over the input document of docs/opa.md, and requests of which it permits about half. */
import fc from 'fast-check';
import type { PolicySource } from './opa-process.ts';

export const MESH_POLICY: PolicySource = {
  entrypoints: [
    'mesh/authz/allow',
    'mesh/authz/decision',
    'mesh/authz/office_hours',
    'mesh/authz/size',
    'mesh/authz/shares',
  ],
  data: {
    roles: {
      'mailto:alice@company.com': ['reader', 'operator'],
      'mailto:bob@company.com': ['reader'],
      'mailto:zoë@company.com': ['operator'],
    },
    grants: {
      reader: [{ methods: ['GET', 'HEAD'], path: '^/(reports|ec2)/[A-Za-z]+$' }],
      operator: [
        { methods: ['GET', 'POST'], path: '^/ec2/Describe[A-Z][A-Za-z]*$' },
        { methods: ['POST'], path: '^/s3/' },
      ],
    },
    blocked: { tools: ['shell', 'delete_*'], labels: ['pii'] },
    weights: { planning: 0.5, inventory: 0.25, security: 1.0 },
    limits: { depth: 3, bytes: 4096, age: 600 },
  },
  rego: `package mesh.authz

default allow := false

allow if {
	input.version == "hopgate.dev/v1"
	permitted
	count(blockers) == 0
}

decision := {"allow": true, "obligations": sort([label | some label in input.data.labels])} if allow

decision := {"allow": false, "reason": concat("; ", sort(blockers))} if {
	not allow
	count(blockers) > 0
}

decision := {"allow": false, "reason": sprintf("%s may not %s %s", [input.principal.id, input.request.method, input.request.path])} if {
	not allow
	count(blockers) == 0
}

permitted if {
	some role in data.roles[lower(input.principal.id)]
	some given in data.grants[role]
	input.request.method in given.methods
	regex.match(given.path, input.request.path)
}

blockers contains sprintf("the chain has %d links", [input.chain.depth]) if input.chain.depth > data.limits.depth

blockers contains "the body is too large" if input.request.size > data.limits.bytes

blockers contains sprintf("tool %s", [input.mcp.tool]) if {
	some pattern in data.blocked.tools
	glob_match(pattern, input.mcp.tool)
}

blockers contains sprintf("data labelled %s crosses a domain", [label]) if {
	some label in input.data.labels
	label in data.blocked.labels
	domain(input.caller.id) != domain(input.callee.id)
}

blockers contains "the chain is old" if input.chain.age > data.limits.age

blockers contains "too little trust" if {
	total := sum([weight | some type in input.chain.types; weight := object.get(data.weights, type, 0)])
	total + (input.caller.score / 1000) < 1.25
}

blockers contains "arguments" if {
	some argument in input.mcp.arguments
	is_string(argument)
	contains(upper(argument), "DROP TABLE")
}

glob_match(pattern, text) if {
	endswith(pattern, "*")
	startswith(text, trim_suffix(pattern, "*"))
}

glob_match(pattern, text) if pattern == text

domain(id) := split(trim_prefix(id, "spiffe://"), "/")[0]

# Undefined outside of them.
office_hours if {
	hour := floor(input.now / 3600) % 24
	hour >= 8
	hour < 18
}

# Neither yes nor no.
size := input.request.size

# Some of them are fractions, which are no strict JSON of ours.
shares := {"allow": true, "share": input.request.size / 8}
`,
};

const agent = fc.record({
  id: fc.constantFrom(
    'spiffe://company.com/agent/planning/1',
    'spiffe://company.com/agent/inventory/7',
    'spiffe://partner.org/agent/security/1',
  ),
  type: fc.constantFrom('planning', 'inventory', 'security', 'unknown'),
  score: fc.integer({ min: 0, max: 1000 }),
});

const odd = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.constantFrom('; drop table users', 'DROP TABLE', '\u2028</script>', '\u0000', '"\\'),
);

/** Some lack members, or have others than the policy expects. */
const wild = fc.record(
  {
    version: fc.oneof({ weight: 9, arbitrary: fc.constant('hopgate.dev/v1') }, { weight: 1, arbitrary: odd }),
    principal: fc.record({
      id: fc.oneof(
        {
          weight: 9,
          arbitrary: fc.constantFrom(
            'mailto:alice@company.com',
            'mailto:Alice@company.com',
            'mailto:bob@company.com',
            'mailto:zoë@company.com',
          ),
        },
        { weight: 1, arbitrary: odd },
      ),
    }),
    caller: agent,
    callee: agent,
    chain: fc.record({
      depth: fc.integer({ min: 1, max: 5 }),
      age: fc.integer({ min: 0, max: 1000 }),
      types: fc.array(fc.constantFrom('planning', 'inventory', 'security', 'unknown'), {
        minLength: 1,
        maxLength: 4,
      }),
    }),
    request: fc.record({
      method: fc.constantFrom('GET', 'POST', 'HEAD', 'DELETE'),
      path: fc.oneof(
        fc.constantFrom(
          '/reports/daily',
          '/ec2/DescribeInstances',
          '/ec2/TerminateInstances',
          '/s3/put',
          '/reports/a1',
        ),
        odd.map((text) => `/s3/${text}`),
      ),
      size: fc.oneof(fc.integer({ min: 0, max: 8000 }), fc.constant(4096)),
    }),
    mcp: fc.record(
      {
        tool: fc.oneof(fc.constantFrom('search', 'shell', 'delete_all', 'delete'), odd),
        arguments: fc.dictionary(fc.string({ maxLength: 8 }), fc.jsonValue({ maxDepth: 2 })),
      },
      { requiredKeys: [] },
    ),
    data: fc.record({ labels: fc.array(fc.constantFrom('pii', 'finance', 'public'), { maxLength: 3 }) }),
    now: fc.integer({ min: 1_800_000_500, max: 1_800_090_000 }),
  },
  { requiredKeys: ['request', 'caller', 'callee'] },
);

/** As they come on a working day: each is within most of the bounds. */
const usual = fc
  .record({
    request: fc.record({
      method: fc.constantFrom('GET', 'POST'),
      path: fc.constantFrom('/ec2/DescribeInstances', '/ec2/DescribeVolumes', '/ec2/Terminate'),
      size: fc.integer({ min: 0, max: 4300 }),
    }),
    principal: fc.record({ id: fc.constantFrom('mailto:alice@company.com', 'mailto:Zoë@company.com') }),
    depth: fc.integer({ min: 1, max: 3 }),
    score: fc.integer({ min: 400, max: 1000 }),
    tool: fc.constantFrom('search', 'describe', 'shell'),
    labels: fc.subarray(['finance', 'public', 'pii']),
    now: fc.integer({ min: 1_800_000_000, max: 1_800_086_400 }),
  })
  .map(({ depth, score, tool, labels, now, ...rest }) => ({
    version: 'hopgate.dev/v1',
    ...rest,
    caller: { id: 'spiffe://company.com/agent/planning/1', type: 'planning', score },
    callee: { id: 'spiffe://company.com/agent/inventory/7', type: 'inventory', score: 900 },
    chain: {
      depth,
      age: 60,
      types: ['planning', 'inventory', 'security'].slice(0, depth),
    },
    mcp: { tool, arguments: { region: 'eu-central-1', limit: 50 } },
    data: { labels },
    now,
  }));

/** Requests as the input document has them. */
export const requests: fc.Arbitrary<Record<string, unknown>> = fc.oneof(wild, usual);

/** One that is permitted, with all that the input document has. */
export const usualRequest: Record<string, unknown> = {
  version: 'hopgate.dev/v1',
  now: 1_800_000_000,
  caller: {
    id: 'spiffe://company.com/agent/planning/1',
    type: 'planning',
    domain: 'company.com',
    attributes: { team: 'cloud', tier: '1' },
    score: 812,
  },
  callee: {
    id: 'spiffe://company.com/agent/inventory/7',
    type: 'inventory',
    domain: 'company.com',
    attributes: { team: 'cloud' },
    score: 500,
  },
  principal: { id: 'mailto:alice@company.com', issuer: 'https://idp.company.com', groups: ['staff', 'ops'] },
  chain: {
    depth: 2,
    agents: ['spiffe://company.com/client/alice', 'spiffe://company.com/agent/planning/1'],
    types: ['client', 'planning', 'inventory', 'security'],
    domains: ['company.com', 'company.com'],
    scopes: ['cloud:read', 'ec2:Describe*'],
    task: 'Zm9vYmFyYmF6cXV4cXV1eGNvcmdlZ3JhdWx0Z2FycGx5',
    purpose: 'monthly inventory',
    age: 42,
    remaining: 3558,
  },
  request: {
    direction: 'inbound',
    method: 'POST',
    path: '/ec2/DescribeInstances',
    query: {},
    route: 'inventory',
    protocol: 'mcp',
    scopes: ['mcp:inventory:describe'],
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    size: 214,
  },
  mcp: {
    server: 'inventory',
    method: 'tools/call',
    kind: 'request',
    tool: 'describe',
    prompt: '',
    resource: '',
    arguments: { region: 'eu-central-1', limit: 50, filters: [{ name: 'state', values: ['running'] }] },
  },
  a2a: { method: '', kind: '', skill: '', taskId: '', contextId: '' },
  data: { labels: ['finance'] },
};
