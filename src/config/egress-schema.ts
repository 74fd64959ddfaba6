/** `outbound.egress` of a sidecar: which of the destinations that policy lists it has a door to, and how it reaches them. */
import { z } from 'zod';
import { destination, file, printableText, serviceUrl } from './forms.ts';

const exchange = z
  .strictObject({
    tokenEndpoint: serviceUrl
      .refine((text) => !text.startsWith('unix:'), {
        error: 'the URL of a token endpoint: https://…, or http:// on this machine',
        abort: true,
      })
      .describe('Where tokens are exchanged.'),
    caFile: file
      .optional()
      .describe('CA certificates for it, PEM, instead of the system’s; read at the start.'),
    clientId: printableText.describe('Who we are there.'),
    clientSecretFile: file.optional().describe('File with the client secret; read anew each time.'),
    subjectTokenFile: file
      .optional()
      .describe(
        'The token that is exchanged, read anew each time. Without it a JWT that the agent key signs for this endpoint, with the WIT in it.',
      ),
    subjectTokenType: z
      .string()
      .regex(/^urn:[\x21-\x7e]{1,250}$/, { error: 'a URN of RFC 8693 section 3', abort: true })
      .meta({ title: 'token type' })
      .default('urn:ietf:params:oauth:token-type:jwt')
      .describe('What the subject token is (RFC 8693 section 3).'),
    audience: printableText.optional().describe('For whom the new token is.'),
    resource: printableText.optional().describe('URI of what it is for (RFC 8707).'),
    scope: z
      .string()
      .regex(/^[\x21-\x7e]+( [\x21-\x7e]+)*$/, { error: 'scopes with one blank between them', abort: true })
      .meta({ title: 'OAuth scopes' })
      .optional()
      .describe('What it is to be good for.'),
  })
  .describe(
    'RFC 8693: a token of ours is exchanged for one that the destination takes; kept until shortly before its end.',
  );

const HEADER = /^[a-z0-9-]{1,64}$/;
/** Headers that say how a message is framed or where it goes. */
const NEVER = new Set([
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'upgrade',
  'te',
  'trailer',
  'expect',
  'cookie',
]);

const credential = z
  .strictObject({
    secretFile: file.optional().describe('File with the credential: one line; read again when it changes.'),
    exchange: exchange.optional(),
    header: z
      .string()
      .refine((text) => HEADER.test(text) && !NEVER.has(text), {
        error: 'the name of a header in lower case, such as authorization or x-api-key',
        abort: true,
      })
      .meta({ title: 'header name', pattern: HEADER.source })
      .default('authorization')
      .describe(
        'Header that carries it. Whatever the agent sends under this name, or as authorization, is dropped.',
      ),
    scheme: z
      .string()
      .regex(/^[A-Za-z0-9_-]{0,32}$/, { error: 'a word such as Bearer; "" for none', abort: true })
      .meta({ title: 'authentication scheme' })
      .optional()
      .describe('Stands before it. Bearer in authorization, none in other headers, if left out.'),
  })
  .superRefine((given, context) => {
    if ((given.secretFile === undefined) === (given.exchange === undefined))
      context.addIssue({ code: 'custom', message: 'give one of secretFile and exchange' });
  })
  .describe('api: what the sidecar adds to each request, so that the agent holds no key of the destination.');

const entry = z
  .strictObject({
    destination: destination.describe(
      'Host and port, as `egress` of the policy has them. What policy does not list stays shut.',
    ),
    mode: z
      .enum(['api', 'tunnel'])
      .default('api')
      .describe(
        'As in the policy. api: the agent sends http://HOST/ (port 80 for 443, else the port of the destination). tunnel: the agent sends CONNECT.',
      ),
    credential: credential.optional(),
    caFile: file
      .optional()
      .describe(
        'api: CA certificates for the destination, PEM, instead of the public ones; read at the start.',
      ),
  })
  .superRefine(({ destination: own, mode, credential: given, caFile }, context) => {
    const issue = (member: string): void =>
      context.addIssue({
        code: 'custom',
        path: [member],
        message: 'is for mode api: through a tunnel the agent speaks to the destination itself',
      });
    if (mode === 'api' && own.endsWith(':80'))
      context.addIssue({
        code: 'custom',
        path: ['destination'],
        message: `${own}: an API is spoken to over TLS, and port 80 of http stands for 443`,
      });
    if (mode === 'tunnel' && given !== undefined) issue('credential');
    if (mode === 'tunnel' && caFile !== undefined) issue('caFile');
  });

export const egress = z
  .array(entry)
  .superRefine((entries, context) => {
    for (const [index, { destination: own }] of entries.entries())
      if (entries.findIndex((other) => other.destination === own) < index)
        context.addIssue({
          code: 'custom',
          path: [index, 'destination'],
          message: `${own} is there already`,
        });
  })
  .prefault([])
  .describe(
    'Beyond the mesh: what the agent may reach, out of what `egress` of the policy lists. Nothing, if left out.',
  );

export type EgressEntry = z.output<typeof entry>;
export type CredentialConfig = z.output<typeof credential>;
export type ExchangeConfig = z.output<typeof exchange>;
