import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectAllowed, expectDenied } from '../testkit/attack.ts';
import { forgeChain } from '../testkit/forge.ts';
import { type Mesh, type MeshAgent, makeMesh } from '../testkit/mesh.ts';
import { openSession, requestText } from '../testkit/raw-peer.ts';

let mesh: Mesh;
let target: MeshAgent;

beforeAll(async () => {
  mesh = await makeMesh({ domain: { agents: ['client/alice', 'planning/abc123', 'inventory/def456'] } });
  target = await mesh.start('inventory/def456');
});
afterAll(() => mesh.stop());

const line = () => ['client/alice', 'planning/abc123'].map((name) => mesh.domain.agent(name));
const planning = () => mesh.domain.agent('planning/abc123');
/** A chain whose root has one scope and whose leaf another. */
const narrowing = (root: readonly unknown[], leaf: readonly unknown[]): string =>
  forgeChain(mesh.domain, line(), { at: { 0: { edit: { scope: root } }, 1: { edit: { scope: leaf } } } });

const NARROW = ['cloud:read', 'ec2:Describe*', 's3:objects:*'];

describe('a leaf with more scope than its parent', () => {
  it.each([
    ['the same', NARROW],
    ['a literal under a prefix', ['cloud:read', 'ec2:DescribeVpcs']],
    ['a longer prefix', ['cloud:read', 'ec2:DescribeV*']],
  ])('passes with %s', async (_, leaf) => {
    await expectAllowed(target, planning(), { chain: narrowing(NARROW, leaf) });
  });

  it.each([
    ['a new scope', 'cloud:write'],
    ['a prefix widened to everything', 'ec2:*'],
    ['a shorter prefix', 'ec2:D*'],
    ['a literal beside the prefix', 'ec2:TerminateInstances'],
    ['one more segment under a prefix', 'ec2:Describe:all'],
    ['a wildcard of segments under a prefix', 'ec2:Describe:*'],
    ['a literal made a prefix', 'cloud:read*'],
    ['a literal made a tree', 'cloud:read:*'],
    ['another case', 'Cloud:read'],
    ['another case in the last segment', 'cloud:READ'],
    ['the tree one level up', 's3:*'],
    ['the root of a tree without its segments', 's3:objects'],
    ['a trailing dot', 'cloud:read.'],
  ])('%s', async (_, scope) => {
    await expectDenied(
      target,
      planning(),
      { chain: narrowing(NARROW, ['cloud:read', scope]) },
      'link_scope_widened',
    );
  });

  it.each([
    ['that lies outside its anchor', ['cloud:read', 'admin:all'], 'anchor_scope'],
    ['that is a whole tree of which the anchor has one like it', ['ec2x:Describe'], 'anchor_scope'],
  ] as const)('a root %s', async (_, scope, reason) => {
    await expectDenied(target, planning(), { chain: forgeChain(mesh.domain, line(), { scope }) }, reason);
  });
});

describe('a scope outside the grammar, which some reader could take for more', () => {
  it.each([
    ['a look-alike letter', 'cloud:re\u0430d'],
    ['a full-width letter', 'cloud:\uff52ead'],
    ['percent-encoding', 'cloud%3Aread'],
    ['NUL', 'cloud:read\u0000'],
    ['a zero-width space', 'cloud:\u200bread'],
    ['a combining accent', 'cloud:re\u0301ad'],
    ['a space', 'cloud: read'],
    ['a newline', 'cloud:read\ncloud:write'],
    ['an empty segment', 'cloud::read'],
    ['an empty first segment', ':read'],
    ['an empty last segment', 'cloud:'],
    ['nothing', ''],
    ['a bare asterisk', '*'],
    ['a prefix of one segment', 'cloud*'],
    ['an interior asterisk', 'cloud:*:read'],
    ['an asterisk within a segment', 'cloud:r*d'],
    ['two asterisks', 'cloud:read**'],
    ['a question mark', 'cloud:rea?'],
    ['braces', 'cloud:{read,write}'],
    ['a dot part', 's3:objects/./x'],
    ['a dot-dot part', 's3:objects/../x'],
    ['an empty part', 's3:objects//x'],
    ['a part at the end', 's3:objects/'],
    ['a backslash', 's3:objects\\x'],
    ['more than 256 octets', `cloud:${'r'.repeat(251)}`],
    ['a number', 7],
    ['null', null],
    ['a list', ['cloud:read']],
  ])('%s', async (_, scope) => {
    await expectDenied(
      target,
      planning(),
      { chain: narrowing(['cloud:read', 's3:objects:*'], ['cloud:read', scope]) },
      'scope_invalid',
    );
  });

  it.each([
    ['an empty list, read as all', [], 'scope_empty'],
    ['the same twice', ['cloud:read', 'cloud:read'], 'scope_invalid'],
    ['65 of them', Array.from({ length: 65 }, (_, index) => `cloud:r${index}`), 'scope_invalid'],
  ] as const)('%s', async (_, scope, reason) => {
    await expectDenied(target, planning(), { chain: narrowing(['cloud:*'], scope) }, reason);
  });

  it.each([
    ['an object with length', { length: 0 }],
    ['a string', 'cloud:read'],
    ['no scope at all', undefined],
  ])('%s', async (_, scope) => {
    const chain = forgeChain(mesh.domain, line(), { at: { 1: { edit: { scope } } } });
    await expectDenied(
      target,
      planning(),
      { chain },
      scope === undefined ? 'claim_missing' : 'claim_invalid',
    );
  });
});

describe('a request for more than the chain holds', () => {
  const describes = () => ({
    chain: narrowing(['cloud:read', 'ec2:Describe*'], ['cloud:read', 'ec2:Describe*']),
  });

  it('passes with a name under the prefix', async () => {
    await expectAllowed(target, planning(), { ...describes(), target: '/ec2/DescribeVpcs' });
  });

  it.each([
    ['another action', '/ec2/TerminateInstances', 'scope_missing'],
    ['the action in another case', '/ec2/describeVpcs', 'scope_missing'],
    ['a value with a colon', '/ec2/Describe:all', 'route_value'],
    ['a value with an asterisk', '/ec2/Describe*', 'route_value'],
    ['a value that is an asterisk', '/ec2/*', 'route_value'],
    ['a value with a comma', '/ec2/DescribeVpcs,TerminateInstances', 'route_value'],
    ['a value with an escaped space', '/ec2/Describe%20Vpcs', 'route_value'],
    ['a value with a look-alike letter', '/ec2/Descr%D1%96beVpcs', 'route_value'],
    ['a value with an escape that isn’t needed', '/ec2/%44escribeVpcs', 'target_not_canonical'],
    ['a value with an escaped slash', '/ec2/Describe%2FVpcs', 'target_not_canonical'],
    ['a value with an escaped NUL', '/ec2/DescribeVpcs%00', 'target_not_canonical'],
    ['a value with path parameters', '/ec2/DescribeVpcs;x=TerminateInstances', 'target_not_canonical'],
    ['a route that no policy knows', '/ec2/DescribeVpcs/more', 'scope_missing'],
  ] as const)('%s', async (_, path, reason) => {
    const chain =
      reason === 'scope_missing' && path.endsWith('/more')
        ? narrowing(['ec2:Describe*'], ['ec2:Describe*'])
        : describes().chain;
    await expectDenied(target, planning(), { chain, target: path }, reason);
  });

  it('a method that the policy has no route for', async () => {
    for (const method of ['TRACE', 'PROPFIND', 'QUERY', 'M-SEARCH'])
      await expectDenied(target, planning(), { ...describes(), method }, 'route_unmatched');
  });

  it('a method that wants another scope', async () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'])
      await expectDenied(target, planning(), { ...describes(), method }, 'scope_missing');
  });

  it('a scope that the leaf has and an ancestor has not, were its link not refused already', async () => {
    await expectDenied(
      target,
      planning(),
      { chain: narrowing(['ec2:Describe*'], ['cloud:read']) },
      'link_scope_widened',
    );
  });
});

describe('caveats', () => {
  const RESOURCE = { type: 'resource', paths: ['/vpcs'] };
  const CALLEE = { type: 'callee', ids: ['spiffe://company.com/agent/inventory/*'] };
  const chainOf = (root: unknown, leaf: unknown): string =>
    forgeChain(mesh.domain, line(), {
      at: { 0: { edit: { caveats: root } }, 1: { edit: { caveats: leaf } } },
    });

  it('that hold let pass', async () => {
    await expectAllowed(target, planning(), {
      chain: chainOf([RESOURCE], [RESOURCE, CALLEE]),
      target: '/vpcs/1',
    });
  });

  it.each([
    ['dropped', [RESOURCE, CALLEE], [RESOURCE]],
    ['all dropped', [RESOURCE], undefined],
    ['reordered', [RESOURCE, CALLEE], [CALLEE, RESOURCE]],
    ['loosened', [RESOURCE], [{ type: 'resource', paths: ['/vpcs', '/admin'] }]],
    ['put behind a wider one', [RESOURCE], [{ type: 'resource', paths: ['/'] }, RESOURCE]],
    ['replaced by another type', [RESOURCE], [CALLEE]],
  ])('%s', async (_, root, leaf) => {
    await expectDenied(target, planning(), { chain: chainOf(root, leaf) }, 'link_caveats');
  });

  it.each([
    ['of an unknown type', [{ type: 'geo', country: 'CH' }], 'caveat_unknown'],
    ['of a type in another case', [{ type: 'Resource', paths: ['/'] }], 'caveat_unknown'],
    ['of the type __proto__', [{ type: '__proto__' }], 'caveat_unknown'],
    ['of the type toString', [{ type: 'toString' }], 'caveat_unknown'],
    ['without a type', [{ paths: ['/'] }], 'caveat_invalid'],
    ['with a member too many', [{ ...RESOURCE, unless: 'admin' }], 'caveat_invalid'],
    [
      'with a path that is not canonical',
      [{ type: 'resource', paths: ['/vpcs/../admin'] }],
      'caveat_invalid',
    ],
    ['with no paths', [{ type: 'resource', paths: [] }], 'caveat_invalid'],
    ['with a wide ID pattern', [{ type: 'callee', ids: ['spiffe://company.com/*'] }], 'caveat_invalid'],
    ['with a tool that holds a colon', [{ type: 'tool', names: ['a:b'] }], 'caveat_invalid'],
    ['in an object', { 0: RESOURCE }, 'caveat_invalid'],
    ['in an empty list', [], 'caveat_invalid'],
    ['17 of them', Array.from({ length: 17 }, () => RESOURCE), 'caveat_invalid'],
  ] as const)('%s', async (_, caveats, reason) => {
    await expectDenied(target, planning(), { chain: chainOf(undefined, caveats) }, reason);
  });

  it.each([
    ['a resource beside the named one', [RESOURCE], '/vpcsx', 'caveat_resource'],
    [
      'a resource above the named one',
      [{ type: 'resource', paths: ['/vpcs/1'] }],
      '/vpcs',
      'caveat_resource',
    ],
    ['a resource only in the query', [RESOURCE], '/admin?/vpcs', 'caveat_resource'],
    [
      'another callee',
      [{ type: 'callee', ids: ['spiffe://company.com/agent/security/*'] }],
      '/vpcs',
      'caveat_callee',
    ],
    ['a tool, where none is called', [{ type: 'tool', names: ['DescribeVpcs'] }], '/vpcs', 'caveat_tool'],
    ['a time that has passed', [{ type: 'before', time: 1_000_000_000 }], '/vpcs', 'caveat_before'],
    [
      'uses that are counted elsewhere',
      [{ type: 'max_uses', uses: 3, at: 'spiffe://company.com/agent/security/s1' }],
      '/vpcs',
      'caveat_max_uses',
    ],
  ] as const)('%s', async (_, caveats, path, reason) => {
    await expectDenied(target, planning(), { chain: chainOf(undefined, caveats), target: path }, reason);
  });

  it('uses that are used up, in a race', async () => {
    const at = target.agent.id;
    const chain = chainOf(undefined, [{ type: 'max_uses', uses: 2, at }]);
    const before = target.seen.length;
    const outcomes = await Promise.all(
      Array.from({ length: 6 }, async () => {
        const peer = await openSession(target, planning());
        const answer = await peer.ask(requestText({ chain }));
        peer.close();
        return answer.code ?? answer.status;
      }),
    );
    expect(outcomes.filter((outcome) => outcome === 200)).toHaveLength(2);
    expect(outcomes.filter((outcome) => outcome === 'caveat_max_uses')).toHaveLength(4);
    expect(target.seen).toHaveLength(before + 2);
  });
});
