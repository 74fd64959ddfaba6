/** The reference page of the configuration, from its JSON Schemas. */
import type { z } from 'zod';
import { LIVE_FIELDS } from '../src/config/reload.ts';
import { type Attribute, ENVIRONMENT, NOW } from '../src/core/policy/environment.ts';

type Schema = z.core.JSONSchema.BaseSchema;

interface Kind {
  readonly name: string;
  readonly kind: string;
  readonly json: Schema;
  /** File in this folder, where it has another name. */
  readonly example?: string;
}

const INTRODUCTION = `# Configuration reference

Made by \`npm run gen\` from the schema in \`src/config\`; changes here are overwritten.

A file is one YAML document (YAML 1.2, core schema). An unknown key, a key that stands twice, a tag or a wrong value is an
error with line, column and field. Secrets stand in files of their own; here they are only ever named. File names are
relative to the file that names them, or to \`stateDirectory\` where that is said. Policy, trust bundle and identity files
are read again when they change; while one is wrong, the last good one stays in force. So is a sidecar's configuration: fields that
are marked *Live* follow it under the running sidecar, with everything below them, from the next request on. When anything else
in the file has changed, nothing of it is taken until a restart; \`hopgate status --config FILE\` says what is in force, and why a
reload was refused.

Let an editor check as you type, with this as the first line:

\`\`\`yaml
# yaml-language-server: $schema=https://hopgate.dev/schemas/v1/sidecar.schema.json
\`\`\`

(or a path to \`sidecar.schema.json\` or \`policy.schema.json\` beside this page).

## Forms of values

| form | written as |
|---|---|
| duration | a whole number and \`s\`, \`m\`, \`h\` or \`d\`: \`90s\`, \`15m\`, \`2h\`, \`1d\`; 24d at most |
| long duration | the same; 366d at most |
| short time | a whole number and \`ms\` or \`s\`: \`50ms\`, \`2s\`; a minute at most |
| size | octets: \`1048576\`, or with \`KiB\`, \`MiB\`, \`GiB\` (1024 each): \`512KiB\`, \`1GiB\` |
| TCP address | \`host:port\` or \`[ipv6]:port\`: \`0.0.0.0:14443\`, \`[::]:14443\`; to listen, port 0 lets the system choose |
| TCP address or off | the same, or \`off\`: it listens nowhere |
| local address | \`127.0.0.1:port\`, \`[::1]:port\` or \`unix:/path\` (107 octets at most); no names |
| file | the name of a file, never its content |
| agent ID or type | \`spiffe://company.com/agent/inventory/1\`, \`spiffe://company.com/client/alice\`; a type: \`spiffe://company.com/agent/inventory/*\` |
| agent ID | \`spiffe://company.com/agent/inventory/1\`, \`spiffe://company.com/client/alice\` |
| reason code | \`rule_denied\`, \`ok\`: of [the table](../src/core/SPEC.md#16-reason-codes) |
| agent type | \`planning\`; \`client\` for principals' own clients |
| principal | a URI: \`mailto:alice@company.com\` |
| scope pattern | \`cloud:read\`; \`cloud:*\` is one or more further segments; \`ec2:Describe*\` is a prefix in the last segment |
| scope pattern or set | the same, or the name of a scope set |
| scope name | \`infrastructure:review\` |
| scope template | a scope without \`*\`, with \`{name}\` filled from the path: \`ec2:{action}\` |
| path | \`/ec2/{action}\`, \`/reports/*\`; \`{name}\` is one whole segment, a final \`/*\` one or more |
| host name | \`inventory.mesh\`: lower case, no port, no IP address |
| label | \`pii\`, \`finance\`: a lower-case letter, then lower-case letters, digits, \`_\`, \`-\`; 32 at most |
| condition | an expression of [CEL](https://cel.dev) over [these attributes](#policy-attributes-of-conditions), of type bool; 4096 characters at most |
| operation | method of a message: \`tools/call\`, \`SendMessage\`, \`http:GET\`; a final \`/*\` stands for one or more further parts: \`notifications/*\` |
| name of a tool, prompt, resource or skill | printable, without blanks: \`read_invoice\`; a final \`*\` stands for the rest: \`read_*\` |
| tool | its name, as the server lists it |
| destination | \`api.github.com:443\`: a host name in lower case and a port; no IP address, not localhost |
| private range | \`10.2.0.0/16\`, \`fd12:3456::/32\`: within RFC 1918, 100.64.0.0/10 or fc00::/7, without host bits |
| header name | \`authorization\`, \`x-api-key\`: lower case; none that frames or routes a message |
| authentication scheme | a word, such as \`Bearer\`, or \`""\` |
| printable text | printable characters without blanks, 512 at most |
| token type | a URN of RFC 8693 section 3: \`urn:ietf:params:oauth:token-type:jwt\` |
| OAuth scopes | words with one blank between them: \`repo:read issues:read\` |
| digest | 43 characters of base64url: the SHA-256 of a tool’s definition (SPEC.md section 13) |
| detector | \`injection\`, \`secrets\` or \`pii\` |
| RE2 pattern | a [regular expression of RE2](https://github.com/google/re2/wiki/Syntax): without back references and look-around, and so in linear time |
| JSON value | text, a number, true, false, null, a list or a map |
| media type | \`application/json\`, \`text/*\` |
| path in OPA | names joined by \`/\`, as in OPA’s data: \`hopgate/authz/allow\` |
| time | RFC 3339, with its zone: \`2026-12-31T00:00:00Z\` |
| trust domain | \`company.com\`: lower-case letters, digits, \`.\`, \`_\`, \`-\` |
| client ID | printable characters without blanks: \`hopgate-agents\` |
| service URL | \`https://…\`, \`http://\` to 127.0.0.1, [::1] or localhost, or \`unix:/path\`; without credentials or fragment |
| issuer URL | \`https://idp.company.com/realms/agents\` |
| key id or scope | printable characters without blanks, 256 at most: \`release\` |
| method | \`GET\`: upper case |
| name | lower-case letters, digits and \`-\`, 64 at most: \`read-inventory\` |
| revision | letters, digits, \`.\`, \`_\`, \`-\`, 64 at most; a number in quotes |
| thumbprint | 43 characters of base64url (RFC 7638); \`hopgate init\` prints the root's |
`;

/** Markdown: per kind a table of its own fields, then one per section; behind the policy what its conditions can read. */
export const renderReference = (kinds: readonly Kind[]): string =>
  [
    INTRODUCTION,
    ...kinds.map((kind) => renderKind(kind) + (kind.kind === 'Policy' ? `\n${renderAttributes()}` : '')),
  ].join('\n');

const CONDITIONS = `### Policy: attributes of conditions

\`when: caller.score >= 700 && !("pii" in data.labels)\`. Conditions are CEL, and checked when a policy is read: an attribute that
there is not, a type that doesn’t fit or a result that is no bool is an error with line and column. There are \`&&\`, \`||\`, \`!\`,
\`? :\`, comparisons, \`in\`, arithmetic, \`size()\`, \`startsWith\`, \`endsWith\`, \`contains\`, \`matches\` (one RE2 pattern, written out),
\`has(mcp.arguments.name)\`, and \`all\`, \`exists\`, \`exists_one\`, \`map\`, \`filter\` over lists.

A condition that has no value when it is asked (a key that is not there, a type that differs, a division by zero) is never passed
over: of an allow it allows nothing, of any other rule it is a denial, *rule_error*. Ask \`has(…)\` or \`"x-tenant" in
request.headers\` first where something may be missing.

*Lasts* says how long a value stays what it is. Conditions over *standing* attributes alone are decided once for a chain, callee,
method and target; *request* ones on every request; *operation* ones on every operation of a message, and only where the route
has a protocol. \`mcp.…\` and \`a2a.…\` of a rule whose \`routes\` are all of another protocol are an error: it could never hold.

| attribute | type | lasts | meaning |
|---|---|---|---|
`;

const attributeRow = (name: string, { type, lasts, meaning }: Attribute): string =>
  row([`\`${name}\``, `\`${type}\``, lasts, meaning]);

/** From the very table that conditions are checked against. */
const renderAttributes = (): string =>
  `${CONDITIONS}${[
    ...Object.entries(ENVIRONMENT).flatMap(([variable, members]) =>
      Object.entries(members).map(([member, attribute]) => attributeRow(`${variable}.${member}`, attribute)),
    ),
    attributeRow('now', NOW),
  ].join('\n')}\n`;

const renderKind = ({ name, kind, json, example = `${name}.yaml` }: Kind): string =>
  [
    `## kind: ${kind}`,
    '',
    `${json.description} Example: [${example}](${example}).`,
    '',
    ...renderSection({ kind, path: '', schema: json }),
  ].join('\n');

const schemaOf = (value: unknown): Schema =>
  (typeof value === 'object' && value !== null ? value : {}) as Schema;
const isSection = (schema: Schema): boolean => schema.properties !== undefined;

interface Section {
  /** Sidecar, Policy: two kinds may have a section of one name. */
  readonly kind: string;
  /** Empty for the document itself. */
  readonly path: string;
  readonly schema: Schema;
}

/** The section that holds a field's own fields; `undefined` when it has none. */
const sectionOf = ({ kind, path, schema }: Section): Section | undefined => {
  if (isSection(schema)) return { kind, path, schema };
  const items = schemaOf(schema.items);
  if (isSection(items)) return { kind, path: `${path}[]`, schema: items };
  const named = schemaOf(schema.additionalProperties);
  return isSection(named) ? { kind, path: `${path}.NAME`, schema: named } : undefined;
};

const renderSection = ({ kind, path, schema }: Section): string[] => {
  const required = new Set(schema.required ?? []);
  const fields = Object.entries(schema.properties ?? {}).map(([key, value]) => ({
    key,
    at: { kind, path: path === '' ? key : `${path}.${key}`, schema: schemaOf(value) },
  }));
  const heading = [
    `### ${kind}: ${path}`,
    '',
    ...(schema.description === undefined ? [] : [schema.description, '']),
  ];
  return [
    ...(path === '' ? [] : heading),
    '| field | form | default | meaning |',
    '|---|---|---|---|',
    ...fields.map(({ key, at }) =>
      row([
        `\`${at.path}\``,
        formOf(at),
        defaultOf(at.schema, required.has(key)),
        `${at.schema.description ?? ''}${liveness(at)}`,
      ]),
    ),
    '',
    ...fields.flatMap(({ at }) => {
      const section = sectionOf(at);
      return section === undefined ? [] : renderSection(section);
    }),
  ];
};

/** Fields of a running sidecar that follow the file; within a section that does as a whole, it says so once. */
const liveness = ({ kind, path }: Section): string =>
  kind === 'Sidecar' && LIVE_FIELDS.includes(path) ? ' *Live.*' : '';

const row = (cells: readonly string[]): string =>
  `| ${cells.map((cell) => cell.replace(/\|/g, '\\|').replace(/\n/g, ' ')).join(' | ')} |`;

/** As GitHub makes it of a heading. */
const anchor = ({ kind, path }: Section): string =>
  `#${`${kind}: ${path}`
    .toLowerCase()
    .replace(/[^a-z0-9 -]/g, '')
    .replace(/ /g, '-')}`;

const formOf = (at: Section): string => {
  const { schema } = at;
  const section = sectionOf(at);
  if (section !== undefined)
    return `[${schema.type === 'array' ? 'list of maps' : isSection(schema) ? 'map' : 'maps by name'}](${anchor(section)})`;
  if (schema.const !== undefined) return `\`${schema.const}\``;
  if (schema.enum !== undefined) return schema.enum.map((one) => `\`${one}\``).join(' or ');
  if (schema.title !== undefined) return schema.title;
  switch (schema.type) {
    case 'array':
      return `list, each: ${formOf({ ...at, schema: schemaOf(schema.items) })}${schema.minItems === undefined ? '' : ` (${schema.minItems} or more)`}`;
    case 'object':
      return `map, each: ${formOf({ ...at, schema: schemaOf(schema.propertyNames) })} to ${formOf({ ...at, schema: schemaOf(schema.additionalProperties) })}`;
    case 'integer':
      return schema.maximum === undefined
        ? `whole number, ${schema.minimum} or more`
        : `whole number, ${schema.minimum}–${schema.maximum}`;
    case 'number':
      return `number, ${schema.minimum}–${schema.maximum}`;
    case 'boolean':
      return '`true` or `false`';
    default:
      return schema.pattern === undefined ? 'text' : `text matching \`${schema.pattern}\``;
  }
};

const defaultOf = (schema: Schema, required: boolean): string => {
  if (required) return '**required**';
  if (schema.default === undefined) return 'none';
  return isSection(schema) ? 'see there' : `\`${JSON.stringify(schema.default).replace(/^"|"$/g, '')}\``;
};
