/** Arbitrary policies as people write them, with every member that there is; and what is asked of them. */
import * as fc from 'fast-check';

const DIGEST = 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });
const some = <T>(...values: T[]) => fc.subarray(values, { minLength: 1 });

const idPatterns = some(
  'spiffe://company.com/client/*',
  'spiffe://company.com/agent/planning/*',
  'spiffe://company.com/agent/inventory/1',
  'spiffe://partner.org/agent/planning/*',
);
const types = some('planning', 'inventory', 'client');
const domains = some('company.com', 'partner.org');
const scopes = some('cloud:read', 'cloud:*', 'mcp:*', 'ec2:Describe*');
const literals = some('cloud:read', 'mcp:call', 'ec2:DescribeInstances');
export const ROUTE_NAMES = ['describe', 'reports', 'tools', 'skills', 'rest'] as const;
const routeNames = some(...ROUTE_NAMES);
const labels = some('pii', 'finance', 'source-code_2');
/** Of which some have no value on some requests. */
export const CONDITIONS = [
  'true',
  'false',
  'caller.score > 500',
  'chain.depth <= 2',
  '"pii" in data.labels',
  'request.query["tenant"] == "a"',
  'request.headers["x-tenant"] == "a"',
  'caller.attributes["team"] == "red"',
  'request.size / (request.size - request.size) == 1',
  'mcp.tool.startsWith("read")',
  'mcp.arguments.path == "/tmp"',
  'a2a.skill == "review"',
  'request.path.matches("^/reports/[a-z]+$")',
  'principal.groups.exists(group, group == "admins")',
  'request.scopes.all(scope, scope.startsWith("cloud"))',
  'now > timestamp("2027-01-01T00:00:00Z")',
] as const;
const ANYWHERE = CONDITIONS.filter((condition) => !/\b(?:mcp|a2a)\./.test(condition));

const operations = (protocol: string) =>
  fc.record(
    {
      methods:
        protocol === 'mcp'
          ? some('tools/call', 'notifications/*', 'http:GET')
          : some('SendMessage', 'GetTask'),
      names: some('read_*', 'list', 'review'),
      scopes: some(
        'mcp:call',
        'cloud:read',
        ...(protocol === 'mcp' ? ['mcp:{server}:{tool}'] : ['mcp:{skill}']),
      ),
    },
    { requiredKeys: ['methods', 'scopes'] },
  );

const routeOf = (name: (typeof ROUTE_NAMES)[number]) => {
  const common = {
    name: fc.constant(name),
    callees: idPatterns,
    methods: some('GET', 'POST'),
    scopes: literals,
    labels: fc.record({
      request: fc.subarray(['pii']),
      response: fc.constant(['finance', 'source-code_2', 'pii']),
    }),
  };
  const observed = optional(fc.date({ min: new Date(1000), max: new Date(4e12), noInvalidDate: true }));
  const ended = <T extends object>([route, end]: [T, Date | undefined]) =>
    end === undefined
      ? route
      : { ...route, enforcement: 'observe', observeUntil: `${end.toISOString().slice(0, 19)}Z` };
  if (name === 'describe' || name === 'reports')
    return fc
      .tuple(
        fc.record(
          { ...common, path: fc.constant(name === 'describe' ? '/ec2/{action}' : '/reports/*') },
          { requiredKeys: ['name', 'path', 'scopes', 'labels'] },
        ),
        observed,
      )
      .map(ended);
  const protocol = name === 'tools' ? 'mcp' : name === 'skills' ? 'a2a' : 'a2a-rest';
  const mcp = {
    server: fc.constant('files'),
    serverRequests: some('elicitation/create', 'roots/list'),
    tools: fc.record(
      {
        filter: fc.boolean(),
        approved: fc.constant({ read_file: DIGEST, __proto: DIGEST }),
        changed: fc.constantFrom('deny', 'flag'),
        unlisted: fc.constantFrom('deny', 'flag', 'allow'),
      },
      { requiredKeys: ['approved'] },
    ),
  };
  const members: Record<string, fc.Arbitrary<unknown>> = {
    ...common,
    path: fc.constant(protocol === 'a2a-rest' ? '/rest/*' : `/${name}`),
    protocol: fc.constant(protocol),
    operations: fc.array(operations(protocol), { minLength: 1, maxLength: 3 }),
    maxMessage: fc.constantFrom('64KiB', '1MiB', 4096),
    ...(protocol === 'mcp' ? mcp : { skillMember: fc.constantFrom('skill', 'x/y') }),
  };
  const requiredKeys = [
    'name',
    'path',
    'protocol',
    'operations',
    'labels',
    ...(protocol === 'mcp' ? ['server'] : []),
  ];
  return fc.tuple(fc.record(members, { requiredKeys }), observed).map(ended);
};

const named = <T extends object>(entry: fc.Arbitrary<T>, most: number) =>
  fc.array(entry, { maxLength: most }).map((list) => list.map((one, at) => ({ name: `n${at}`, ...one })));

const rules = named(
  fc
    .record(
      {
        effect: fc.constantFrom('allow', 'deny', 'approve', 'quarantine', 'flag'),
        callers: idPatterns,
        callerTypes: types,
        callees: idPatterns,
        principals: some('mailto:alice@company.com', 'mailto:bob@company.com'),
        scopes,
        routes: routeNames,
        when: fc.constantFrom(...CONDITIONS),
        shadow: fc.boolean(),
      },
      { requiredKeys: ['effect'] },
    )
    .map((rule) => ({
      ...rule,
      ...(rule.shadow && rule.effect === 'flag' ? { shadow: false } : {}),
      // On chosen routes only conditions that could hold there.
      ...(rule.routes && rule.when && !ANYWHERE.includes(rule.when) ? { when: ANYWHERE[0] } : {}),
    })),
  6,
);

const demands = fc.array(
  fc.oneof(
    fc.record(
      { scopes, labels, approval: fc.constant('required'), maxDepth: fc.integer({ min: 1, max: 8 }) },
      { requiredKeys: ['scopes', 'maxDepth'] },
    ),
    fc.record(
      {
        labels,
        minScore: fc.integer({ min: 1, max: 1000 }),
        maxStaleness: fc.constantFrom('5m', '2h'),
        linkTtl: fc.constantFrom('10m', '1h'),
        domains: fc.constant('same'),
        requestProof: fc.constant('required'),
      },
      { requiredKeys: ['labels', 'minScore'] },
    ),
  ),
  { maxLength: 3 },
);

const edges = named(
  fc.record(
    {
      effect: fc.constantFrom('allow', 'deny'),
      from: idPatterns,
      fromTypes: types,
      fromDomains: domains,
      to: idPatterns,
      toTypes: types,
      toDomains: fc.constant(['company.com', 'partner.org', 'third.net']),
      crossing: fc.constant(true),
    },
    { requiredKeys: ['effect'] },
  ),
  3,
);

const content = named(
  fc.oneof(
    fc.record(
      {
        directions: fc.constant(['request']),
        callees: idPatterns,
        routes: routeNames,
        detectors: some('injection', 'secrets', 'pii'),
        patterns: fc.constant({ 'aws-key': 'AKIA[0-9A-Z]{16}', second: '(?i)top secret' }),
        types: some('application/json', 'text/*'),
        maxBytes: fc.constantFrom('1MiB', 1024),
        action: fc.constantFrom('deny', 'quarantine'),
        mode: fc.constant('hold'),
        holdBytes: fc.constantFrom('64KiB', '2MiB'),
        shadow: fc.boolean(),
      },
      { requiredKeys: ['directions', 'detectors', 'action'] },
    ),
    fc.record(
      { detectors: some('injection', 'pii'), action: fc.constant('flag'), mode: fc.constant('stream') },
      { requiredKeys: ['detectors', 'action'] },
    ),
  ),
  3,
);

const decisionPoints = fc.array(
  fc.record(
    {
      point: fc.constantFrom('opa', 'opa-wasm'),
      path: fc.constant('hopgate/authz/allow'),
      callees: idPatterns,
      routes: routeNames,
    },
    { requiredKeys: ['point', 'path'] },
  ),
  { maxLength: 2 },
);

const withoutSidecar = named(
  fc.record(
    {
      callers: idPatterns,
      callerTypes: types,
      callees: idPatterns,
      scopes: some('cloud:read', 'ec2:Describe*'),
      routes: routeNames,
    },
    { requiredKeys: ['callers'] },
  ),
  2,
);

const egress = fc.subarray([
  {
    name: 'out-api',
    destination: 'api.example.com:443',
    mode: 'api',
    methods: ['GET', 'POST'],
    path: '/v1/*',
    scopes: ['cloud:read'],
    allowPrivate: ['10.0.0.0/8'],
  },
  {
    name: 'out-tunnel',
    destination: 'db.example.com:5432',
    mode: 'tunnel',
    scopes: ['cloud:read'],
    inside: 'any',
  },
]);

const limits = fc.record(
  {
    maxDepth: fc.integer({ min: 1, max: 8 }),
    linkTtl: fc.constantFrom('30m', '2h', '4h'),
    humanRoot: fc.constantFrom('required', 'optional'),
    callbacks: fc.constantFrom('denied', 'allowed'),
    session: fc.constantFrom('10m', '1h'),
    maxStaleness: fc.constantFrom('5m', '1h'),
    maxTaskAge: fc.constantFrom('1h', '1d'),
  },
  { requiredKeys: [] },
);

/** What a YAML file holds. All routes are there, so that every name and label has its route. */
export const writtenPolicies: fc.Arbitrary<object> = fc
  .record(
    {
      revision: fc.stringMatching(/^[A-Za-z][A-Za-z0-9._-]{0,10}$/),
      limits,
      scopeSets: fc.constant({ 'infrastructure:review': ['cloud:read', 'ec2:Describe*'] }),
      lists: fc.record({ allow: fc.record({ agents: fc.oneof(fc.constant([]), idPatterns) }) }),
      routes: fc.tuple(...ROUTE_NAMES.map(routeOf)),
      rules,
      demands,
      delegation: fc.record({ otherwise: fc.constantFrom('allow', 'deny'), rules: edges }),
      content,
      decisionPoints,
      withoutSidecar,
      egress,
    },
    { requiredKeys: ['revision', 'routes', 'rules'] },
  )
  .map((policy) => ({ apiVersion: 'hopgate.dev/v1', kind: 'Policy', ...policy }));
