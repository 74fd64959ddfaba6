/** `kind: Sidecar`: the one source of its types, defaults, validator, JSON Schema and reference page. */
import { z } from 'zod';
import { admin } from './admin-schema.ts';
import { decisionPoints } from './decision-point-schema.ts';
import { egress } from './egress-schema.ts';
import {
  type Address,
  bytes,
  duration,
  file,
  host,
  idPattern,
  issuerUrl,
  listenAddress,
  localAddress,
  localListenAddress,
  longDuration,
  peerAddress,
  scopeMember,
  thumbprint,
  trustDomain,
} from './forms.ts';
import { limits } from './limits-schema.ts';
import { metricsSchema, telemetrySchema } from './telemetry-schema.ts';

const attestation = z
  .strictObject({
    method: z
      .enum(['join', 'kubernetes', 'oidc', 'x509pop'])
      .default('join')
      .describe('What the verifier is shown at enrolment, and again at each renewal.'),
    joinFile: file
      .optional()
      .describe('join: file with the join string, for the first start; after it the SVID itself is shown.'),
    tokenFile: file
      .optional()
      .describe(
        'kubernetes: the projected service-account token, for the audience of the verifier; read anew each time.',
      ),
    issuer: issuerUrl.optional().describe('oidc: the identity provider of the client-credentials grant.'),
    clientId: z
      .string()
      .regex(/^[\x21-\x7e]{1,512}$/, {
        error: 'a client ID: printable characters without blanks',
        abort: true,
      })
      .meta({ title: 'client ID' })
      .optional()
      .describe('oidc: who we are there.'),
    clientSecretFile: file.optional().describe('oidc: file with the client secret.'),
    svid: file.optional().describe('x509pop: an X.509-SVID that this workload has already, PEM.'),
    svidKey: file.optional().describe('x509pop: its private key, PEM (PKCS#8).'),
  })
  .superRefine((given, context) => {
    for (const [field, method] of ATTESTATION_FIELDS) {
      const has = given[field] !== undefined;
      if (method === given.method && !has && field !== 'joinFile')
        context.addIssue({ code: 'custom', path: [field], message: 'is missing' });
      if (method !== given.method && has)
        context.addIssue({
          code: 'custom',
          path: [field],
          message: `belongs to the method ${method}, and this is ${given.method}`,
        });
    }
  })
  .describe('With a verifier: how it learns that this workload is who it says.');

const ATTESTATION_FIELDS = [
  ['joinFile', 'join'],
  ['tokenFile', 'kubernetes'],
  ['issuer', 'oidc'],
  ['clientId', 'oidc'],
  ['clientSecretFile', 'oidc'],
  ['svid', 'x509pop'],
  ['svidKey', 'x509pop'],
] as const;

/** Without a verifier each is named. */
const IDENTITY_FILES = ['svid', 'svidKey', 'agentKey', 'auditKey', 'wit', 'keyBinding'] as const;

const identity = z
  .strictObject({
    svid: file.optional().describe('X.509-SVID, PEM: the leaf first, then intermediates.'),
    svidKey: file.optional().describe('Its private key, PEM (PKCS#8).'),
    agentKey: file
      .optional()
      .describe('The agent’s Ed25519 private key, PEM (PKCS#8): proves the agent and signs grants.'),
    auditKey: file.optional().describe('The Ed25519 private key that signs audit checkpoints, PEM (PKCS#8).'),
    wit: file.optional().describe('Workload Identity Token (JWT) that binds the SPIFFE ID to both keys.'),
    keyBinding: file.optional().describe('The issuer’s key binding, JSON with exp, kid and sig.'),
    directory: file
      .optional()
      .describe(
        'With a verifier, in place of the files above: the folder that `hopgate join` wrote, or that the first start writes; `identity` unless named.',
      ),
    attestation: attestation.optional(),
  })
  .describe(
    'Who this agent is: its files, all six, or with a verifier a folder that the sidecar keeps itself. Secrets are only ever named as files; changed files are read again.',
  );

const MAX_VERIFIERS = 8;

const trust = z
  .strictObject({
    trustDomain: trustDomain.describe('Our trust domain.'),
    root: thumbprint.describe(
      'Thumbprint of the root key: the only thing that is trusted without a signature.',
    ),
    bundle: file.optional().describe('The signed trust bundle, where there is no verifier.'),
    verifier: z
      .strictObject({
        addresses: z
          .array(peerAddress)
          .min(1)
          .max(MAX_VERIFIERS)
          .describe(
            'Where it listens, the preferred one first. Whoever answers has to prove itself by the root.',
          ),
      })
      .optional()
      .describe('The Trust Verifier: bundle, policy and credentials come from it.'),
  })
  .describe('What this sidecar trusts: a bundle in a file, or the verifier. Exactly one of the two.');

const keys = z
  .strictObject({
    store: z
      .enum(['file', 'memory'])
      .default('file')
      .describe(
        'file: kept in identity.directory, mode 0600. memory: never written; after a restart the agent enrols under a new key, and tasks that rest on the lost one end.',
      ),
    encryption: z
      .strictObject({
        keyFile: file.describe('The key-encryption key; made when it is not there.'),
        passphraseFile: file.optional().describe('File with a passphrase under which that key is sealed.'),
      })
      .optional()
      .describe('Agent key, audit key and the key of the SVID are sealed in their folder (AES-256-GCM).'),
    rotateAfter: longDuration
      .prefault('30d')
      .describe('Age at which the agent key is replaced by a new one, under live tasks.'),
  })
  .describe('With a verifier: the private keys that this sidecar makes for its agent.');

const inbound = z
  .strictObject({
    listen: listenAddress.prefault('0.0.0.0:14443').describe('Where peers connect (mTLS).'),
    agent: localAddress.describe(
      'Where the agent listens: a loopback address or a unix socket, so that nobody reaches it around the sidecar.',
    ),
    agentHttp: z
      .enum(['h1', 'h2c', 'as-received'])
      .default('h1')
      .describe(
        'What the agent speaks: HTTP/1.1, HTTP/2 without TLS (every gRPC server), or both on one port; then each request goes on as it came.',
      ),
    withoutSidecar: z
      .boolean()
      .default(true)
      .describe(
        'Whether clients without a sidecar may connect, where policy lets them (its `withoutSidecar`). false: never, whatever policy says.',
      ),
  })
  .describe('The door in.');

const delegate = z
  .strictObject({
    scope: z
      .array(scopeMember)
      .min(1)
      .describe('Scope patterns or scope sets that the callee gets; the agent may ask for less.'),
    ttl: duration.describe('Longest life of the grant.'),
    remainingDepth: z
      .int()
      .min(0)
      .max(7)
      .describe('How many further links may follow the grant: 0 means the callee can’t delegate.'),
  })
  .describe('Mint a grant for the callee, so that it can act onward. Nothing is delegated without it.');

const route = z.strictObject({
  host: host.describe('The name that the agent uses, such as inventory.mesh.'),
  peer: idPattern.describe('The agent that must answer: an exact ID, or a type. Never a whole trust domain.'),
  address: peerAddress.describe('Where its sidecar listens. DNS is trusted for nothing: the peer is pinned.'),
  http: z
    .enum(['as-received', 'h1', 'h2'])
    .default('as-received')
    .describe(
      'HTTP/1.1 or HTTP/2 to the peer. as-received: what the agent speaks, so that gRPC goes over HTTP/2. A WebSocket goes over HTTP/1.1.',
    ),
  delegate: delegate.optional(),
});

const outbound = z
  .strictObject({
    listen: localListenAddress
      .prefault('127.0.0.1:14001')
      .describe(
        'Where the agent sends its requests: a loopback port (with the proxy secret) or a unix socket (with its permissions).',
      ),
    proxyUrlFile: file
      .default('proxy-url')
      .describe(
        'Where the URL for HTTP_PROXY is written at each start, with that start’s secret (mode 0600), relative to stateDirectory.',
      ),
    routes: z
      .array(route)
      .superRefine((routes, context) => {
        for (const [index, { host }] of routes.entries())
          if (routes.findIndex((other) => other.host === host) < index)
            context.addIssue({
              code: 'custom',
              path: [index, 'host'],
              message: `${host} has a route already`,
            });
      })
      .prefault([])
      .describe('The peers that the agent may reach.'),
    egress,
  })
  .superRefine(({ routes, egress: beyond }, context) => {
    const hosts = new Set(routes.map(({ host }) => host));
    for (const [index, { destination }] of beyond.entries())
      if (hosts.has(destination.slice(0, destination.lastIndexOf(':'))))
        context.addIssue({
          code: 'custom',
          path: ['egress', index, 'destination'],
          message: `${destination}: a route to a peer has this host`,
        });
  })
  .describe('The door out.');

const audit = z
  .strictObject({
    file: file.default('audit.log').describe('The log, relative to stateDirectory.'),
    durability: z
      .enum(['process', 'disk'])
      .default('process')
      .describe(
        'process: a record survives the death of the process before the agent sees the request; disk: also that of the machine (group fdatasync).',
      ),
    checkpointRecords: z.int().min(1).max(1_000_000).default(1000).describe('Sign after this many records.'),
    checkpointInterval: duration.prefault('10s').describe('Sign after this time, if anything was written.'),
    refusalInterval: duration
      .prefault('10s')
      .describe('How often refusals before authentication are written, summed up by source.'),
    refusalSources: z
      .int()
      .min(1)
      .max(10_000)
      .default(64)
      .describe('How many sources are told apart in one such record; the rest is counted as "other".'),
    denialsPerCaller: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(100)
      .describe(
        'Denials of one caller for one reason that have a record each in such an interval; further ones are summed up.',
      ),
  })
  .prefault({});

const quarantine = z
  .strictObject({
    reviewers: z
      .array(file)
      .min(1)
      .max(16)
      .describe(
        'Public keys of who may read and release what is kept: the .pub files of `hopgate quarantine keygen`. Nobody else can read it, this sidecar and its operator included.',
      ),
    retention: longDuration.prefault('7d').describe('After this time what was kept is deleted.'),
    maxBytes: bytes.prefault('256MiB').describe('Of all files. Full: refused, and never the oldest dropped.'),
    maxItems: z.int().min(1).max(100_000).default(1000).describe('Requests that are kept at once.'),
    maxBytesPerCaller: bytes
      .prefault('64MiB')
      .describe('Of the requests of one caller, so that none fills it up for the others.'),
    maxItemsPerCaller: z.int().min(1).max(100_000).default(250).describe('Requests of one caller.'),
  })
  .describe(
    'Where requests are kept aside, encrypted, that policy quarantines. Without it they are only refused.',
  );

// The agent's own address among them: a listener on it would forward to itself.
const endpointsOf = (config: {
  readonly inbound?: z.output<typeof inbound> | undefined;
  readonly outbound?: z.output<typeof outbound> | undefined;
  readonly health: { readonly listen: Address };
  readonly metrics: { readonly listen: Address | 'off' };
  readonly admin: z.output<typeof admin>;
}): { readonly field: readonly string[]; readonly address: Address }[] => [
  ...(config.inbound === undefined
    ? []
    : [
        { field: ['inbound', 'listen'], address: config.inbound.listen },
        { field: ['inbound', 'agent'], address: config.inbound.agent },
      ]),
  ...(config.outbound === undefined
    ? []
    : [{ field: ['outbound', 'listen'], address: config.outbound.listen }]),
  { field: ['health', 'listen'], address: config.health.listen },
  ...(config.metrics.listen === 'off'
    ? []
    : [{ field: ['metrics', 'listen'], address: config.metrics.listen }]),
  ...(config.admin.listen === undefined
    ? []
    : [{ field: ['admin', 'listen'], address: config.admin.listen }]),
];

const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What belongs to a trust domain in files, and what to one with a verifier. */
const sourceFaults = (config: {
  readonly identity: z.output<typeof identity>;
  readonly trust: z.output<typeof trust>;
  readonly policy?: string | undefined;
  readonly keys?: z.output<typeof keys> | undefined;
}): { readonly path: string[]; readonly message: string }[] => {
  const { identity: own, trust: source, policy, keys: keeping } = config;
  const missing = (...path: string[]) => ({ path, message: 'is missing' });
  const foreign =
    (what: string) =>
    (...path: string[]) => ({ path, message: what });
  if (source.verifier === undefined) {
    const extra = foreign('belongs to trust.verifier, and there is none');
    return [
      ...IDENTITY_FILES.filter((name) => own[name] === undefined).map((name) => missing('identity', name)),
      ...(source.bundle === undefined ? [missing('trust', 'bundle')] : []),
      ...(policy === undefined ? [missing('policy')] : []),
      ...(own.directory === undefined ? [] : [extra('identity', 'directory')]),
      ...(own.attestation === undefined ? [] : [extra('identity', 'attestation')]),
      ...(keeping === undefined ? [] : [extra('keys')]),
    ];
  }
  const extra = foreign('comes from the verifier: take the line out');
  const memory = keeping?.store === 'memory';
  return [
    ...IDENTITY_FILES.filter((name) => own[name] !== undefined).map((name) => extra('identity', name)),
    ...(source.bundle === undefined ? [] : [extra('trust', 'bundle')]),
    ...(policy === undefined ? [] : [extra('policy')]),
    ...(memory && (own.attestation?.method ?? 'join') === 'join'
      ? [
          {
            path: ['keys', 'store'],
            message: 'memory needs another attestation than join, whose token is good for one enrolment',
          },
        ]
      : []),
    ...(memory && keeping?.encryption !== undefined
      ? [{ path: ['keys', 'encryption'], message: 'is for keys in files, and these are in memory' }]
      : []),
  ];
};

const ANY_HOST = new Set(['0.0.0.0', '::']);
const collides = (one: Address, other: Address): boolean => {
  if ('path' in one || 'path' in other) return 'path' in one && 'path' in other && one.path === other.path;
  const sameHost = one.host === other.host || ANY_HOST.has(one.host) || ANY_HOST.has(other.host);
  return sameHost && one.port === other.port && one.port > 0;
};

export const sidecarSchema = z
  .strictObject({
    apiVersion: z.literal('hopgate.dev/v1').describe('Version of this form.'),
    kind: z.literal('Sidecar').describe('What this document is.'),
    identity: identity.prefault({}),
    trust,
    keys: keys.optional(),
    policy: file.optional().describe('The policy (kind: Policy). With a verifier its bundle carries it.'),
    stateDirectory: file
      .default('state')
      .describe('Audit log, last accepted bundle order and counters. Private to this sidecar.'),
    inbound: inbound.optional(),
    outbound: outbound.optional(),
    decisionPoints,
    health: z
      .strictObject({
        listen: listenAddress.prefault('0.0.0.0:14020').describe('/healthz and /readyz, nothing else.'),
      })
      .prefault({})
      .describe('For the orchestrator’s probes.'),
    metrics: metricsSchema('127.0.0.1:14021')
      .prefault({})
      .describe(
        'Figures for Prometheus (docs/metrics.md); none of them names an agent, a principal or a task.',
      ),
    telemetry: telemetrySchema,
    admin,
    audit: audit.describe('The decision log.'),
    quarantine: quarantine.optional(),
    limits: limits.describe('Bounds on everything that a peer can use up.'),
    log: z
      .strictObject({
        level: z
          .enum(['debug', 'info', 'warn', 'error'])
          .default('info')
          .describe('The least grave that is written.'),
      })
      .prefault({})
      .describe('Diagnostics on stderr, as JSON lines.'),
  })
  .refine(
    (config) => config.inbound !== undefined || config.outbound !== undefined,
    'neither inbound nor outbound is set: the sidecar would do nothing',
  )
  .superRefine(
    (config, context) => {
      for (const { path, message } of sourceFaults(config))
        context.addIssue({ code: 'custom', path, message });
    },
    // Whatever else is wrong: who writes a file wants every fault at once.
    { when: ({ value }) => isMap(value) && isMap(value.identity) && isMap(value.trust) },
  )
  .superRefine((config, context) => {
    const taken: { readonly field: readonly string[]; readonly address: Address }[] = [];
    for (const { field, address } of endpointsOf(config)) {
      const other = taken.find((one) => collides(one.address, address));
      if (other !== undefined)
        context.addIssue({
          code: 'custom',
          path: [...field],
          message: `is the same address as ${other.field.join('.')}`,
        });
      taken.push({ field, address });
    }
  })
  .meta({
    description: 'One sidecar. File names are relative to this file.',
    anyOf: [{ required: ['inbound'] }, { required: ['outbound'] }],
    oneOf: [
      {
        type: 'object',
        required: ['identity', 'policy'],
        properties: {
          identity: { type: 'object', required: [...IDENTITY_FILES] },
          trust: { type: 'object', required: ['bundle'] },
        },
      },
      {
        type: 'object',
        not: { required: ['policy'] },
        properties: {
          identity: { type: 'object', not: { anyOf: IDENTITY_FILES.map((name) => ({ required: [name] })) } },
          trust: { type: 'object', required: ['verifier'] },
        },
      },
    ],
  });

export type SidecarConfig = z.output<typeof sidecarSchema>;
export type OutboundRoute = z.output<typeof route>;
export type AttestationConfig = z.output<typeof attestation>;
export type DelegateRule = z.output<typeof delegate>;
