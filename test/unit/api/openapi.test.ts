/** The OpenAPI document says what the contract says: all of it, in schemas that a JSON Schema validator takes. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { CONTRACT } from '../../../src/api/contract.ts';
import type { AnyEndpoint } from '../../../src/api/endpoint.ts';
import { openApiDocument } from '../../../src/api/openapi.ts';
import { REASONS } from '../../../src/core/reasons.ts';

interface Operation {
  readonly operationId: string;
  readonly security: readonly unknown[];
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly schema: object }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: object }>> };
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: object }>> }>
  >;
}

const document = openApiDocument(CONTRACT);
const operations = new Map(
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => [
      `${method.toUpperCase()} ${path}`,
      operation as unknown as Operation,
    ]),
  ),
);

it('has every endpoint of the contract and no other', () => {
  const endpoints = Object.values(CONTRACT) as readonly AnyEndpoint[];
  expect([...operations.keys()].sort()).toEqual(
    endpoints.map(({ method, path }) => `${method} ${path}`).sort(),
  );
});

it('lists every reason code', () => {
  const [content] = Object.values(document.components.responses.problem.content);
  expect(JSON.stringify(content)).toContain(
    Object.keys(REASONS)
      .sort()
      .map((code) => `"${code}"`)
      .join(','),
  );
});

describe.each(Object.values(CONTRACT) as readonly AnyEndpoint[])('$name', (endpoint) => {
  const operation = operations.get(`${endpoint.method} ${endpoint.path}`) as Operation;

  it('is under its name, open to anyone only where the contract says so', () => {
    expect(operation.operationId).toBe(endpoint.name);
    expect(operation.security.length === 0).toBe(endpoint.access === 'anyone');
  });

  it('has each parameter of its path, and its answer under its status', () => {
    const inPath = [...endpoint.path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name);
    const declared = (operation.parameters ?? []).filter((one) => one.in === 'path').map(({ name }) => name);
    expect(declared).toEqual(inPath);
    expect(Object.keys(operation.responses)).toContain(String(endpoint.status));
  });

  it('has schemas that compile', () => {
    const ajv = new Ajv2020({ strict: false });
    const schemas = [
      ...(operation.parameters ?? []).map(({ schema }) => schema),
      ...Object.values(operation.requestBody?.content ?? {}).map(({ schema }) => schema),
      ...Object.values(operation.responses).flatMap(({ content }) =>
        Object.values(content ?? {}).map(({ schema }) => schema),
      ),
    ];
    for (const schema of schemas) expect(() => ajv.compile(schema)).not.toThrow();
  });
});
