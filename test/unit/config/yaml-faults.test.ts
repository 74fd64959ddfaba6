/** Text that isn't the YAML we want: one error with a place, whatever it is, and never a crash. */
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';
import { sidecarSchema } from '../../../src/config/sidecar-schema.ts';
import { policyFaults, policyText, sidecarFaults, sidecarText } from '../../testkit/config-faults.ts';

const bomb = [
  'a: &a [x, x, x, x, x, x, x, x, x]',
  ...[...'bcdefgh'].map(
    (name, index) => `${name}: &${name} [${Array(9).fill(`*${'abcdefg'[index]}`).join(', ')}]`,
  ),
].join('\n');
const staircase = Array.from({ length: 1000 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n');

describe('YAML that is refused', () => {
  test.each<[string, string, string]>([
    ['an empty file', '', '1:1: the file is empty'],
    ['comments alone', '# nothing\n', '1:1: the file is empty'],
    ['a list', '- a\n- b\n', '1:1: must be a map (lines of "key: value")'],
    ['a scalar', 'Sidecar\n', '1:1: must be a map (lines of "key: value")'],
    ['a tab as indentation', 'trust:\n\tbundle: b\n', '2:1: tabs can’t indent YAML: use spaces'],
    ['a second document', 'a: 1\n---\nb: 2\n', '2:1: a second document begins here: one file, one document'],
    ['a key twice', 'kind: Sidecar\nkind: Sidecar\n', '2:1: this key stands twice in the same map'],
    ['an open quote', 'kind: "Sidecar\n', '2:1: not valid YAML: Missing closing "quote'],
    [
      'an open bracket',
      'a: [1, 2\n',
      '2:1: not valid YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
    ],
    [
      'a map on the line of a map',
      'a: b: c\n',
      '1:4: not valid YAML: Nested mappings are not allowed in compact mappings',
    ],
    ['an unknown tag', 'kind: !env NAME\n', '1:7: not valid YAML: Unresolved tag'],
    ['a tag of YAML 1.1', 'kind: !!binary aGk=\n', '1:16: YAML tags have no meaning here'],
    ['an unknown directive', '%FOO\n---\nkind: Sidecar\n', '1:1: not valid YAML: Unknown directive %FOO'],
    ['a list as a key', '? [a]\n: b\n', '1:3: a key must be plain text'],
    ['an alias as a key', 'a: &x k\n*x : b\n', '2:1: a key must be plain text'],
    ['__proto__ at the top', '__proto__:\n  kind: Sidecar\n', '1:1: __proto__: unknown key'],
    ['an alias of nothing', 'kind: *nothing\n', '1:7: an alias without an anchor before it'],
    ['an alias of what holds it', 'a: &a [*a]\n', '1:8: an alias of something that holds an alias'],
    ['an alias bomb', bomb, '3:8: an alias of something that holds an alias'],
    [
      'more aliases than anyone writes',
      `a: &a x\nb: [${Array(101).fill('*a').join(', ')}]\n`,
      '2:405: more than 100 aliases',
    ],
    ['deep brackets', '['.repeat(100_000), '1:1: nested deeper than 64 levels'],
    ['deep maps', '{a: '.repeat(5000), '1:1: nested deeper than 64 levels'],
    ['deep lists on one line', '- '.repeat(5000), '1:1: nested deeper than 64 levels'],
    ['deep keys on one line', '? '.repeat(5000), '1:1: nested deeper than 64 levels'],
    ['deep indentation', staircase, '1:1: nested deeper than 64 levels'],
    ['a huge file', `# ${'x'.repeat(1_048_576)}`, '1:1: larger than 1048576 characters'],
  ])('%s', (_, text, fault) => {
    expect(sidecarFaults(text)).toEqual([fault]);
  });

  test('__proto__ where any name is a key is not dropped in silence', () => {
    expect(
      policyFaults(policyText('scopeSets:\n  __proto__: [cloud:read]\nroutes: []\nrules: []\n')),
    ).toEqual(['5:3: __proto__: unknown key']);
  });

  test('names of Object.prototype are ordinary unknown keys', () => {
    for (const key of ['constructor', 'toString', 'hasOwnProperty', '<<'])
      expect(sidecarFaults(sidecarText(`inbound: {agent: 127.0.0.1:1}\n${key}: {}\n`))[0]).toMatch(
        /^16:1: .+: unknown key; known here: apiVersion, /,
      );
  });

  test('no sentence of the parser repeats what may be a secret', () => {
    const secret = 'MC4CAQAwBQYDK2VwBCIEIJ-DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF';
    for (const text of [
      `a: |${secret}\n x`,
      `a: "\\${secret}"`,
      `a: [${secret}\nb`,
      `a: *${secret}`,
      `${secret}: 1`,
      `a: {} ${secret}`,
      `a: !${secret} 1`,
      `${secret}`,
    ])
      expect(sidecarFaults(text).join('\n')).not.toContain(secret.slice(0, 12));
  });
});

describe('YAML that is read', () => {
  const read = (text: string) => parseConfig(text, 'f.yaml', sidecarSchema).value;

  test('with a byte order mark, CRLF line ends and comments', () => {
    const text = `\ufeff# comment\r\n${sidecarText().replaceAll('\n', '\r\n')}`;
    expect(read(text).inbound?.agent).toEqual({ host: '127.0.0.1', port: 8080 });
  });

  test('with an anchor and its alias', () => {
    const text = sidecarText(
      'outbound:\n  routes:\n    - {host: a.mesh, peer: &p spiffe://company.com/agent/a/1, address: a:1}\n    - {host: b.mesh, peer: *p, address: b:1}\n',
    );
    expect(read(text).outbound?.routes.map((route) => route.peer)).toEqual([
      'spiffe://company.com/agent/a/1',
      'spiffe://company.com/agent/a/1',
    ]);
  });

  test('many short entries on one line are not deep', () => {
    const agents = Array.from({ length: 200 }, (_, index) => `"spiffe://company.com/agent/a/${index}"`);
    expect(
      policyFaults(policyText(`lists: {allow: {agents: [${agents.join(', ')}]}}\nroutes: []\nrules: []\n`)),
    ).toEqual([]);
  });
});
