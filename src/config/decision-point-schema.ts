/** `decisionPoints` of a sidecar: how what policy names is reached. */
import { z } from 'zod';
import { bytes, duration, file, ruleName, serviceUrl, shortDuration } from './forms.ts';

const rest = z
  .strictObject({
    url: serviceUrl
      .refine((text) => !text.includes('?'), {
        error: 'the address of OPA, without a query: /v1/data and the path come behind it',
        abort: true,
      })
      .describe('Where OPA listens; what stands behind host and port goes before /v1/data.'),
    timeout: shortDuration
      .prefault('50ms')
      .describe('For connecting, headers and body together; more is opa_timeout.'),
    tokenFile: file.optional().describe('File with a bearer token; read again when it changes.'),
    caFile: file
      .optional()
      .describe('CA certificates for https, PEM, instead of the system’s; read at the start.'),
    maxInFlight: z
      .int()
      .min(1)
      .max(1024)
      .default(64)
      .describe('Questions under way at once; more are opa_unavailable.'),
    breaker: z
      .strictObject({
        failures: z
          .int()
          .min(1)
          .max(1000)
          .default(5)
          .describe('So many times in a row no answer, and it is left in peace.'),
        coolDown: duration
          .prefault('5s')
          .describe('For so long all is opa_unavailable at once; then one question tries.'),
      })
      .prefault({})
      .describe('When OPA is not asked any more. Answers, whatever they say, are no failures.'),
  })
  .describe('An OPA that runs beside us, over its REST API.');

const SOURCES = ['url', 'file'] as const;
/** Fields of a bundle that is downloaded. */
const OF_URL = ['tokenFile', 'caFile', 'longPoll'] as const;
const OF_KEY = ['keyId', 'scope'] as const;
const SIGNING_NAME = /^[\x21-\x7e]{1,256}$/;
const signingName = z
  .string('text')
  .regex(SIGNING_NAME, {
    error: 'printable characters without blanks, 256 at most',
    abort: true,
  })
  .meta({ title: 'key id or scope' });

const bundle = z
  .strictObject({
    url: serviceUrl.optional().describe('Where the bundle (tar.gz) is downloaded from.'),
    file: file.optional().describe('The bundle in a file; read again when it changes.'),
    publicKeyFile: file
      .optional()
      .describe('The public key of whoever signs, PEM: RSA, EC P-256, P-384 or P-521, Ed25519.'),
    signature: z
      .enum(['none'])
      .optional()
      .describe('none: a file that nobody has signed. Only for `file`, and only when said so.'),
    keyId: signingName.optional().describe('The key id that the signature must name.'),
    scope: signingName.optional().describe('The scope that the signature must have; without it, none.'),
    tokenFile: file.optional().describe('url: file with a bearer token; read again when it changes.'),
    caFile: file
      .optional()
      .describe('url: CA certificates for https, PEM, instead of the system’s; read at the start.'),
    pollInterval: duration
      .prefault('1m')
      .describe('url: between two downloads, a quarter more or less; after a long poll at once.'),
    longPoll: duration
      .optional()
      .describe('url: how long the server may wait for something new, where it can (Prefer: wait).'),
    maxBytes: bytes
      .prefault('16MiB')
      .describe('The largest bundle; unpacked it may have four times as much.'),
    memory: bytes.prefault('64MiB').describe('What the policy may use while it runs.'),
    maxSteps: z
      .int()
      .min(1000)
      .max(1_000_000_000)
      .default(5_000_000)
      .describe('Loop turns and calls of one evaluation; more is opa_timeout. See docs/opa.md.'),
  })
  .superRefine((given, context) => {
    const fault = (field: string, message: string): void =>
      context.addIssue({ code: 'custom', path: [field], message });
    const [source, ...more] = SOURCES.filter((name) => given[name] !== undefined);
    if (source === undefined) context.addIssue({ code: 'custom', message: 'needs url or file' });
    for (const name of more) fault(name, `there is ${source} already: one of the two`);
    if (source === 'file')
      for (const name of OF_URL)
        if (given[name] !== undefined) fault(name, 'belongs to url, and this is a file');
    if (given.signature === 'none') {
      if (source === 'url')
        fault('signature', 'what comes over the network must be signed: name publicKeyFile');
      for (const name of ['publicKeyFile', ...OF_KEY] as const)
        if (given[name] !== undefined) fault(name, 'contradicts signature: none');
    } else if (given.publicKeyFile === undefined) fault('publicKeyFile', 'is missing');
  })
  .describe('A policy as WebAssembly, evaluated in this process (OPA’s bundle protocol).');

const decisionPoint = z
  .strictObject({ rest: rest.optional(), bundle: bundle.optional() })
  .superRefine(({ rest: asked, bundle: evaluated }, context) => {
    if (asked === undefined && evaluated === undefined)
      context.addIssue({ code: 'custom', message: 'needs rest or bundle' });
    if (asked !== undefined && evaluated !== undefined)
      context.addIssue({
        code: 'custom',
        path: ['bundle'],
        message: 'there is rest already: one of the two',
      });
  })
  .describe('One decision point: rest or bundle.');

export const decisionPoints = z
  .record(ruleName, decisionPoint)
  .prefault({})
  .describe('OPA: by the name that policy has for it (decisionPoints[].point), how it is reached.');

export type DecisionPointsConfig = z.output<typeof decisionPoints>;
export type RestConfig = z.output<typeof rest>;
export type BundleConfig = z.output<typeof bundle>;
