/** What an attacker does to a request so that we and the agent read different things. */
import type { MessageInput } from '../../src/core/message/read-message.ts';
import { nodesOf, type Tree, textOf, treeOf } from './json-tree.ts';
import type { Random } from './random.ts';
import type { Sent } from './valid.ts';

type TreeObject = Extract<Tree, { kind: 'object' }>;
type Text = Extract<Tree, { kind: 'text' }>;

/** Changes the tree, or not where it has nothing to change. */
type TreeMutation = (tree: Tree, random: Random) => Tree;

const objects = (tree: Tree): TreeObject[] =>
  nodesOf(tree).filter((node): node is TreeObject => node.kind === 'object' && node.members.length > 0);
const texts = (tree: Tree, form: RegExp): Text[] =>
  nodesOf(tree).filter((node): node is Text => node.kind === 'text' && form.test(node.text));

/** Toward the outer objects, where the names are that decide. */
const someObject = (tree: Tree, random: Random): TreeObject | undefined => {
  const all = objects(tree);
  return all.length === 0 ? undefined : all[Math.min(random.below(all.length), random.below(all.length))];
};
const inObject =
  (change: (object: TreeObject, at: number, random: Random) => void): TreeMutation =>
  (tree, random) => {
    const object = someObject(tree, random);
    if (object !== undefined) change(object, random.below(object.members.length), random);
    return tree;
  };
/** A member of this name, wherever it is. */
const inNamed =
  (name: string, change: (object: TreeObject, at: number, random: Random) => void): TreeMutation =>
  (tree, random) => {
    const all = objects(tree).flatMap((object) =>
      object.members.flatMap(([one], at) => (one === name ? [[object, at] as const] : [])),
    );
    if (all.length > 0) change(...random.pick(all), random);
    return tree;
  };
const inText =
  (form: RegExp, change: (text: string, random: Random) => string): TreeMutation =>
  (tree, random) => {
    const all = texts(tree, form);
    if (all.length > 0) {
      const one = random.pick(all);
      one.text = change(one.text, random);
    }
    return tree;
  };

const other = (random: Random): Tree =>
  treeOf(random.pick<unknown>(['other', 1, null, {}, ['other'], true, '']));
const member = (object: TreeObject, at: number): [string, Tree] => object.members[at] as [string, Tree];
const insert = (object: TreeObject, random: Random, name: string, value: Tree): void => {
  object.members.splice(random.below(object.members.length + 1), 0, [name, value]);
};

const swapCase = (name: string, random: Random): string => {
  const at = 1 + random.below(Math.max(1, name.length - 2));
  const one = name.charAt(at);
  const odd: Record<string, string> = { s: 'ſ', k: '\u212a' };
  const swapped = random.once(3) ? (odd[one.toLowerCase()] ?? one) : one;
  const upper = one.toUpperCase() === one ? one.toLowerCase() : one.toUpperCase();
  return name.slice(0, at) + (swapped === one ? upper : swapped) + name.slice(at + 1);
};
const snake = (name: string): string => name.replace(/[A-Z]/g, (one) => `_${one.toLowerCase()}`);
const camel = (name: string): string => name.replace(/[_-]([a-z])/g, (_, one: string) => one.toUpperCase());
const escaped = (text: string, random: Random): string => {
  const at = 1 + random.below(Math.max(1, text.length - 2));
  const one = text.charAt(at);
  if (text.length < 3 || one === '\\' || text.charAt(at - 1) === '\\') return text;
  const hex = one.charCodeAt(0).toString(16).padStart(4, '0');
  return `${text.slice(0, at)}\\u${random.once(2) ? hex : hex.toUpperCase()}${text.slice(at + 1)}`;
};
const within = (text: string, random: Random, what: string): string => {
  const at = 1 + random.below(Math.max(1, text.length - 1));
  return text.slice(0, at) + what + text.slice(at);
};

const NUMBERS = [
  '1.0',
  '1e0',
  '10e-1',
  '-0',
  '-0.0',
  '01',
  '1.',
  '.5',
  '+1',
  '1e400',
  '-1e400',
  '1e-400',
  'NaN',
  'Infinity',
  '9007199254740992',
  '9007199254740993',
  '-9007199254740993',
  '123456789012345678901234567890',
  '0x1',
  '1_000',
  '1n',
  '1E5',
  '0.1',
  '1.7976931348623157e308',
  '5e-324',
  '2147483648',
  '1e21',
  '100000000000000000000',
];
const WORDS = [
  'null',
  'true',
  'false',
  '"1"',
  '""',
  '[]',
  '{}',
  'undefined',
  'None',
  '"\\u0000"',
  '"\\ud800"',
  '"__proto__"',
];
const METHODS = [
  'tools/call',
  'tools/list',
  'prompts/get',
  'resources/read',
  'ping',
  'initialize',
  'response',
  'http:GET',
  'SendMessage',
  'GetTask',
  'message/send',
  'tasks/get',
  'tasks/cancel',
  'CancelTask',
  'tasks/pushNotificationConfig/get',
  'GetTaskPushNotificationConfig',
  'GetExtendedAgentCard',
  'subscriptions/listen',
  'Tools/Call',
  'sendMessage',
];

const TREE: Readonly<Record<string, TreeMutation>> = {
  'duplicated member': inObject((object, at, random) => {
    const [name, value] = member(object, at);
    insert(
      object,
      random,
      random.once(3) ? escaped(name, random) : name,
      random.once(2) ? value : other(random),
    );
  }),
  'case twin': inObject((object, at, random) => {
    insert(object, random, swapCase(member(object, at)[0], random), other(random));
  }),
  'other case': inObject((object, at, random) => {
    const one = member(object, at);
    one[0] = swapCase(one[0], random);
  }),
  'snake twin': inObject((object, at, random) => {
    const name = member(object, at)[0];
    insert(object, random, snake(name) === name ? camel(name) : snake(name), other(random));
  }),
  'snake for camel': inObject((object, at) => {
    const one = member(object, at);
    one[0] = snake(one[0]) === one[0] ? camel(one[0]) : snake(one[0]);
  }),
  'foreign member': inObject((object, _, random) => {
    const name = random.pick([
      'name',
      'method',
      'id',
      'taskId',
      'task_id',
      'contextId',
      'message',
      'request',
      'params',
      'arguments',
      'uri',
      'metadata',
      'skillId',
      'tenant',
      '__proto__',
      'constructor',
      'toString',
      'error',
      'result',
      'inputResponses',
      '_meta',
      'parent',
      'ref',
      'jsonrpc',
      'jsonrpc ',
      'id\\u0000',
      '\\u0000id',
      '',
    ]);
    insert(object, random, `"${name}"`, other(random));
  }),
  'prototype member': (tree, random) => {
    // Anywhere, and in empty objects too: what is read whole, such as arguments, stands deep.
    const all = nodesOf(tree).filter((node): node is TreeObject => node.kind === 'object');
    if (all.length === 0) return tree;
    const value = random.pick<unknown>([{ name: 'x', admin: true }, null, 'x', { arguments: {} }]);
    const name = random.pick(['"__proto__"', '"__proto__"', '"\\u005f_proto__"', '"constructor"']);
    insert(random.pick(all), random, name, treeOf(value));
    return tree;
  },
  'another task in a resource name': inText(/^"tasks\//, (text) =>
    text.replace(/^"tasks\/[^/"]*/, '"tasks/other'),
  ),
  'a message by its other name': inNamed('"message"', (object, at, random) => {
    const [, value] = member(object, at);
    if (random.once(2)) insert(object, random, '"request"', value);
    else member(object, at)[0] = '"request"';
  }),
  'another skill': inNamed('"metadata"', (object, at, random) => {
    const [, value] = member(object, at);
    if (value.kind !== 'object') return;
    const name = random.pick(['"skillId"', '"skillId"', '"skill_id"', '"SkillId"']);
    value.members = [
      ...value.members.filter(([other]) => other !== name),
      [name, treeOf(random.pick(['other', 'read', ['read'], null]))],
    ];
  }),
  'lost member': inObject((object, at) => {
    object.members.splice(at, 1);
  }),
  'other value': inObject((object, at, random) => {
    member(object, at)[1] = random.once(2)
      ? other(random)
      : { kind: 'text', text: random.pick([...NUMBERS, ...WORDS]) };
  }),
  'value in a list': inObject((object, at) => {
    const one = member(object, at);
    one[1] = { kind: 'array', items: [one[1]] };
  }),
  'value in an object': inObject((object, at, random) => {
    const one = member(object, at);
    one[1] = {
      kind: 'object',
      members: [[random.pick(['"value"', '"$ref"', '"name"', '"toString"', '"length"']), one[1]]],
    };
  }),
  'member moved outward': inObject((object, at, random) => {
    const [, value] = member(object, at);
    if (value.kind === 'object' && value.members.length > 0) object.members.push(random.pick(value.members));
  }),
  'members in another order': inObject((object) => {
    object.members.reverse();
  }),
  'odd number': inText(/^-?[0-9]/, (_, random) => random.pick(NUMBERS)),
  'number as text': inText(/^-?[0-9]/, (text) => `"${text}"`),
  'other method': (tree, random) => {
    if (tree.kind !== 'object') return tree;
    const method = tree.members.find(([name]) => name === '"method"');
    if (method !== undefined) method[1] = treeOf(random.pick(METHODS));
    return tree;
  },
  'escaped name': inObject((object, at, random) => {
    const one = member(object, at);
    one[0] = escaped(one[0], random);
  }),
  'escaped string': inText(/^"./, escaped),
  'odd character in a name': inObject((object, at, random) => {
    const one = member(object, at);
    one[0] = `${within(
      one[0].slice(0, -1),
      random,
      random.pick(['\\u0000', '\u200b', '\\u200b', '\ufeff', ' ', '\\n', '\u0301', '.', '\0']),
    )}"`;
  }),
  'odd character in a string': inText(
    /^"./,
    (text, random) =>
      `${within(text.slice(0, -1), random, random.pick(['\\u0000', '\u200b', '\\ud800', '\\udfff', '\ufeff', '\\r', '\0', '\t', '\\/', '\\x41', '\u2028', '/../']))}"`,
  ),
  'string of another case': inText(/^"[A-Za-z]/, swapCase),
  'a list of one': (tree) => ({ kind: 'array', items: [tree] }),
  'a list of lists': (tree) => ({ kind: 'array', items: [{ kind: 'array', items: [tree] }] }),
  'the same twice in a list': (tree) => ({ kind: 'array', items: [tree, tree] }),
  'a list with more': (tree, random) => ({
    kind: 'array',
    items: [tree, random.once(2) ? treeOf({ jsonrpc: '2.0', id: 'more', method: 'ping' }) : other(random)],
  }),
  'deep nesting': inObject((object, at, random) => {
    let value = member(object, at)[1];
    for (let depth = 40 + random.below(40); depth > 0; depth--) value = { kind: 'array', items: [value] };
    member(object, at)[1] = value;
  }),
};

type OctetMutation = (octets: Buffer, random: Random) => Buffer;
const splice = (octets: Buffer, at: number, drop: number, add: Buffer): Buffer =>
  Buffer.concat([octets.subarray(0, at), add, octets.subarray(at + drop)]);

const OCTETS: Readonly<Record<string, OctetMutation>> = {
  'flipped bit': (octets, random) => {
    const copy = Buffer.from(octets);
    if (copy.length > 0) {
      const at = random.below(copy.length);
      copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8));
    }
    return copy;
  },
  'other octet': (octets, random) =>
    splice(octets, random.below(octets.length + 1), 1, Buffer.from([random.below(256)])),
  'lost octets': (octets, random) =>
    splice(octets, random.below(octets.length + 1), 1 + random.below(4), Buffer.alloc(0)),
  'inserted punctuation': (octets, random) =>
    splice(
      octets,
      random.below(octets.length + 1),
      0,
      Buffer.from(random.pick([...'{}[]":,\\/\'#', '//', '/**/', '""'])),
    ),
  'inserted space': (octets, random) =>
    splice(
      octets,
      random.below(octets.length + 1),
      0,
      Buffer.from(random.pick([' ', '\n', '\r\n', '\t', '\u00a0', '\u2028', '\v', '\f', '\u3000', '\0'])),
    ),
  'byte order mark': (octets, random) =>
    Buffer.concat([
      random.pick([Buffer.from('\ufeff'), Buffer.from([0xff, 0xfe]), Buffer.from([0xfe, 0xff])]),
      octets,
    ]),
  'NUL at an end': (octets, random) =>
    random.once(2) ? Buffer.concat([Buffer.from([0]), octets]) : Buffer.concat([octets, Buffer.from([0])]),
  'UTF-16': (octets, random) => {
    const wide = Buffer.from(octets.toString('utf8'), 'utf16le');
    return random.once(2) && wide.length % 2 === 0 ? wide.swap16() : wide;
  },
  'Latin-1': (octets) => Buffer.from(octets.toString('utf8'), 'latin1'),
  'ill-formed UTF-8': (octets, random) =>
    splice(
      octets,
      random.below(octets.length + 1),
      0,
      random.pick([
        Buffer.from([0xc0, 0xaf]),
        Buffer.from([0xed, 0xa0, 0x80]),
        Buffer.from([0xf5, 0x80]),
        Buffer.from([0xe2, 0x82]),
        Buffer.from([0x80]),
      ]),
    ),
  truncated: (octets, random) => octets.subarray(0, random.below(octets.length + 1)),
  'a second text': (octets, random) =>
    Buffer.concat([
      octets,
      Buffer.from(random.pick(['', '\n', ' ', '\0', ','])),
      random.once(2) ? octets : Buffer.from('{}'),
    ]),
  'as a form': (octets) => Buffer.from(`body=${encodeURIComponent(octets.toString('utf8'))}`),
  'as one string': (octets) => Buffer.from(JSON.stringify(octets.toString('utf8'))),
};

const TYPES = [
  'text/plain',
  'application/json; charset=utf-16',
  'application/json; charset=iso-8859-1',
  'application/json, text/plain',
  'APPLICATION/JSON',
  'application/json;',
  'application/json; charset=utf-8; charset=utf-16le',
  'application/json; charset="utf-8"',
  'application/a2a+json',
  'application/vnd.api+json',
  'application/x-www-form-urlencoded',
  '',
  'application/json; charset=utf-7',
  'multipart/form-data; boundary=x',
  'application/json;charset=utf8',
  ' application/json',
];

type HeadMutation = (sent: Sent, random: Random) => Sent;
const withHeader = (sent: Sent, name: string, value: string): Sent => {
  const headers = sent.headers.filter((_, at) => sent.headers[at - (at % 2)] !== name);
  return { ...sent, headers: [...headers, name, value] };
};

const HEAD: Readonly<Record<string, HeadMutation>> = {
  'other media type': (sent, random) => withHeader(sent, 'content-type', random.pick(TYPES)),
  'no media type': (sent) => ({
    ...sent,
    headers: sent.headers.filter((_, at) => sent.headers[at - (at % 2)] !== 'content-type'),
  }),
  'media type twice': (sent, random) => ({
    ...sent,
    headers: [...sent.headers, 'Content-Type', random.pick(TYPES)],
  }),
  'content coding': (sent, random) =>
    withHeader(sent, 'content-encoding', random.pick(['gzip', 'identity', 'br', '', 'deflate, identity'])),
  'other version': (sent, random) =>
    sent.protocol === 'mcp'
      ? withHeader(
          sent,
          'mcp-protocol-version',
          random.pick(['2025-03-26', '2025-06-18', '2025-11-25', '2026-07-28', 'x']),
        )
      : withHeader(sent, 'a2a-version', random.pick(['1.0', '0.3', '', '2.0', '0.3.0'])),
  'header that names another': (sent, random) =>
    withHeader(
      sent,
      random.pick(['mcp-method', 'mcp-name', 'mcp-param-x']),
      random.pick([...METHODS, 'read', 'a', '0', '=?base64?cmVhZA==?=', '=?base64?!?=']),
    ),
  'other HTTP method': (sent, random) => ({ ...sent, method: random.pick(['GET', 'DELETE', 'PUT', 'POST']) }),
  'bent path': (sent, random) => {
    if (sent.protocol !== 'a2a-rest') return sent;
    const { path } = sent;
    return {
      ...sent,
      path: random.pick([
        `${path}/`,
        path.toUpperCase(),
        `/tasks${path}`,
        `/v1${path}`,
        path.replace(/^\/[^/]*/, ''),
        path.replace('tasks', 'Tasks'),
        `${path}:cancel`,
        `${path}:subscribe`,
        path.replace(':', '%3A'),
        within(path, random, '%20'),
        path.replace(/:[a-z]+$/, ''),
        '/tasks/tasks',
        '/tasks',
        '/v1/card',
        '/card',
        `${path}/x`,
      ]),
    };
  },
  'more query': (sent, random) => ({
    ...sent,
    query: `${sent.query}${sent.query === '' ? '' : '&'}${random.pick([
      'id=b',
      'taskId=b',
      'contextId=b',
      'contextId=a+b',
      'tenant=b',
      'tenant=acme',
      'context_id=b',
      'x=y',
      'contextId[]=b',
      'message=b',
      '%69d=b',
      'historyLength=1',
      '=',
      '&&',
      'contextId',
      'contextid=b',
    ])}`,
  }),
};

export const MUTATIONS: readonly string[] = [
  ...Object.keys(TREE),
  ...Object.keys(OCTETS),
  ...Object.keys(HEAD),
];

export interface Mutant {
  readonly protocol: Sent['protocol'];
  readonly input: MessageInput;
  /** Names of what was done to it; none: it is valid. */
  readonly mutations: readonly string[];
  /** Whether that came to anything: not every request has what a mutation changes. */
  readonly changed: boolean;
}

/** The request after `count` mutations. */
export const mutant = (valid: Sent, count: number, random: Random): Mutant => {
  const chosen = Array.from({ length: count }, () => {
    // As often in the tree as elsewhere: what is well-formed goes deepest.
    const kind = random.below(4);
    return random.pick(Object.keys(kind < 2 ? TREE : kind === 2 ? OCTETS : HEAD));
  });
  let sent = valid;
  let tree = sent.body === undefined ? undefined : treeOf(sent.body);
  for (const name of chosen) {
    if (tree !== undefined) tree = TREE[name]?.(tree, random) ?? tree;
    sent = HEAD[name]?.(sent, random) ?? sent;
  }
  let octets: Buffer = Buffer.from(tree === undefined ? '' : textOf(tree));
  const before = valid.body === undefined ? '' : JSON.stringify(valid.body);
  for (const name of chosen) octets = OCTETS[name]?.(octets, random) ?? octets;
  const { protocol, method, path, query, headers } = sent;
  const changed = sent !== valid || octets.toString('latin1') !== Buffer.from(before).toString('latin1');
  return { protocol, input: { octets, method, path, query, headers }, mutations: chosen, changed };
};

const TOKENS = [
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '"jsonrpc"',
  '"2.0"',
  '"id"',
  '1',
  '"method"',
  '"tools/call"',
  '"params"',
  '"name"',
  '"x"',
  'null',
  'true',
  '"\\ud800"',
  '-0',
  '1e9',
  ' ',
  '\\',
  '"arguments"',
  '{}',
  '"SendMessage"',
  '"message"',
];

/** No valid request to begin with: tokens of JSON in any order. */
export const noise = (valid: Sent, random: Random): Mutant => {
  const { protocol, method, path, query, headers } = valid;
  const text = Array.from({ length: random.below(24) }, () => random.pick(TOKENS)).join('');
  return {
    protocol,
    input: { octets: Buffer.from(text), method, path, query, headers },
    mutations: ['noise'],
    changed: true,
  };
};
