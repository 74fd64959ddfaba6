/** OpenAPI 3.1 from the contract: what is served, committed and validated is one thing. */
import { z } from 'zod';
import { REASONS, type ReasonCode } from '../core/reasons.ts';
import type { Access, AnyEndpoint } from './endpoint.ts';

type Schema = Readonly<Record<string, unknown>>;

const schemaOf = (schema: z.ZodType, io: 'input' | 'output'): Schema => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io,
    unrepresentable: 'any',
    override: ({ jsonSchema }) => {
      // No limits of ours: where JSON numbers stop being exact.
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
    },
  });
  return rest;
};

const isNone = (schema: z.ZodType): boolean => schema instanceof z.ZodUndefined;

const parametersOf = (schema: z.ZodType, place: 'path' | 'query'): Schema[] => {
  const { properties = {}, required = [] } = schemaOf(schema, 'input') as {
    readonly properties?: Readonly<Record<string, Schema>>;
    readonly required?: readonly string[];
  };
  return Object.entries(properties).map(([name, { description, ...form }]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    ...(description !== undefined && { description }),
    schema: form,
  }));
};

const answerOf = ({ answer, kind, status }: AnyEndpoint): Schema => {
  if (isNone(answer)) return { [status]: { description: 'Done.' } };
  const type = kind === 'stream' ? 'text/event-stream' : 'application/json';
  const description =
    kind === 'stream' ? 'Server-sent events; the data of each is JSON of this form.' : 'The answer.';
  return {
    [status]: { description, content: { [type]: { schema: schemaOf(answer, 'output') } } },
    ...(kind === 'tagged' && { 304: { description: 'As If-None-Match says: nothing is new.' } }),
  };
};

const accessText = (access: Access): string => {
  if (access === 'anyone') return 'Open to anyone.';
  return access === 'member' ? 'For whoever has an SVID.' : `For the roles ${access.join(', ')}.`;
};

const operationOf = (endpoint: AnyEndpoint): Schema => {
  const { name, summary, access, changes, params, query, body } = endpoint;
  const parameters = [...parametersOf(params, 'path'), ...parametersOf(query, 'query')];
  return {
    operationId: name,
    summary,
    description: `${accessText(access)}${changes ? ' The change is an event of the ledger, with who made it and why.' : ''}`,
    security: access === 'anyone' ? [] : [{ svid: [] }],
    'x-hopgate-access': access,
    ...(parameters.length > 0 && { parameters }),
    ...(!isNone(body) && {
      requestBody: {
        required: true,
        content: { 'application/json': { schema: schemaOf(body, 'input') } },
      },
    }),
    responses: { ...answerOf(endpoint), default: { $ref: '#/components/responses/problem' } },
  };
};

const codes = (Object.keys(REASONS) as ReasonCode[]).sort();

const problem: Schema = {
  type: 'object',
  required: ['type', 'title', 'status', 'code'],
  properties: {
    type: { type: 'string', format: 'uri' },
    title: { type: 'string', description: 'What the code means.' },
    status: { type: 'integer' },
    code: { type: 'string', enum: codes },
    detail: { type: 'string' },
    hint: { type: 'string', description: 'What to do about it.' },
  },
};

/** The document of a contract. */
export const openApiDocument = (contract: Readonly<Record<string, AnyEndpoint>>) => {
  const paths: Record<string, Record<string, Schema>> = {};
  for (const endpoint of Object.values(contract))
    paths[endpoint.path] = {
      ...paths[endpoint.path],
      [endpoint.method.toLowerCase()]: operationOf(endpoint),
    };
  return {
    openapi: '3.1.0' as const,
    info: {
      title: 'Hopgate Trust Verifier',
      version: 'v1',
      description:
        'The source of trust of one trust domain. JSON is read strictly: unknown and repeated members are refused. Every error is a problem (RFC 9457) with a reason code.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: 'https://localhost:14300' }],
    paths,
    components: {
      securitySchemes: {
        svid: { type: 'mutualTLS', description: 'An X.509-SVID of this trust domain, over TLS 1.3.' },
      },
      responses: {
        problem: {
          description: 'Refused, with the reason.',
          content: { 'application/problem+json': { schema: problem } },
        },
      },
    },
  };
};
