/**
 * Makes what is written down about the configuration from the one schema in src/config: the JSON Schemas for editors and
 * the reference page; and from the contract in src/api the verifier's OpenAPI document. `npm run gen` runs it; a test fails while the committed files are not what it makes.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { CONTRACT } from '../src/api/contract.ts';
import { openApiDocument } from '../src/api/openapi.ts';
import { policySchema } from '../src/config/policy-schema.ts';
import { policyTestSchema } from '../src/config/policy-test-schema.ts';
import { sidecarSchema } from '../src/config/sidecar-schema.ts';
import { verifierSchema } from '../src/config/verifier-schema.ts';
import { withMetricsTable } from './metrics-table.ts';
import { renderReference } from './reference.ts';

const KINDS = [
  { name: 'sidecar', kind: 'Sidecar', schema: sidecarSchema },
  { name: 'policy', kind: 'Policy', schema: policySchema },
  { name: 'policy-test', kind: 'PolicyTest', schema: policyTestSchema, example: 'policy.test.yaml' },
  { name: 'verifier', kind: 'Verifier', schema: verifierSchema },
] as const;

/** JSON Schema 2020-12 of what people write: before defaults, and before durations and sizes become numbers. */
const toJsonSchema = (schema: z.ZodType): z.core.JSONSchema.BaseSchema =>
  z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ jsonSchema }) => {
      // No limit of ours: where JSON numbers stop being exact.
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
    },
  });

/** File names in this folder to their content. */
export const generateFiles = (): Readonly<Record<string, string>> => {
  const schemas = KINDS.map(({ schema, ...kind }) => ({ ...kind, json: toJsonSchema(schema) }));
  const files = schemas.map(({ name, kind, json: { $schema, ...rest } }) => [
    `${name}.schema.json`,
    `${JSON.stringify({ $schema, $id: `https://hopgate.dev/schemas/v1/${name}.schema.json`, title: `Hopgate ${kind}`, ...rest }, null, 2)}\n`,
  ]);
  return {
    ...Object.fromEntries(files),
    'REFERENCE.md': renderReference(schemas),
    '../docs/metrics.md': withMetricsTable(
      readFileSync(new URL('../docs/metrics.md', import.meta.url), 'utf8'),
    ),
    'verifier-openapi.json': `${JSON.stringify(openApiDocument(CONTRACT), null, 2)}\n`,
  };
};

if (import.meta.main)
  for (const [name, content] of Object.entries(generateFiles()))
    writeFileSync(new URL(name, import.meta.url), content);
