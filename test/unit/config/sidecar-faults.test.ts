/** What is wrong in a sidecar's file is said with its line, column and field, all of it at once. */
import { describe, expect, test } from 'vitest';
import { longer, sidecarFaults, sidecarText } from '../../testkit/config-faults.ts';

const LOCAL =
  'a local address: 127.0.0.1:port, [::1]:port or unix:/path (107 octets at most). Anything else, names included, could be reached or answered by others';
const CONTENT =
  'the name of a file is wanted here, and this looks like its content: put it into a file of its own (mode 0600), name that file, and replace the secret if anyone could have read this one';

const inbound = (lines: string): string => sidecarText(`inbound:\n  agent: 127.0.0.1:8080\n${lines}`);
const route = (lines: string): string =>
  sidecarText(
    `outbound:\n  routes:\n    - host: inventory.mesh\n      peer: spiffe://company.com/agent/inventory/*\n      address: 10.0.0.7:14443\n${lines}`,
  );

describe('a sidecar file', () => {
  test('that is right has no fault', () => {
    expect(sidecarFaults(sidecarText())).toEqual([]);
    expect(sidecarFaults(route(''))).toEqual([]);
  });

  test.each<[string, string, string[]]>([
    [
      'an unknown key, near a known one',
      inbound('  listne: 0.0.0.0:1\n'),
      ['17:3: inbound.listne: unknown key; did you mean "listen"?'],
    ],
    [
      'a key in another spelling',
      inbound('  LISTEN: 0.0.0.0:1\n'),
      ['17:3: inbound.LISTEN: unknown key; did you mean "listen"?'],
    ],
    [
      'a key in snake case',
      inbound('audit: {checkpoint_records: 5}\n'),
      ['17:9: audit.checkpoint_records: unknown key; did you mean "checkpointRecords"?'],
    ],
    [
      'an unknown key, near none',
      inbound('  tls: off\n'),
      ['17:3: inbound.tls: unknown key; known here: listen, agent, agentHttp, withoutSidecar'],
    ],
    [
      'an unknown key in a list of maps',
      route('      methods: [GET]\n'),
      ['20:7: outbound.routes[0].methods: unknown key; known here: host, peer, address, http, delegate'],
    ],
    [
      'a missing field',
      sidecarText('inbound:\n  listen: 0.0.0.0:14443\n'),
      ['15:1: inbound.agent: is missing'],
    ],
    [
      'no door at all',
      sidecarText(''),
      ['1:1: neither inbound nor outbound is set: the sidecar would do nothing'],
    ],
    [
      'a key without a value',
      sidecarText('inbound:\n'),
      ['15:1: inbound: has no value: give it one, or take the line out'],
    ],
    [
      'a map where a text belongs',
      inbound('log: {level: {a: 1}}\n'),
      ['17:7: log.level: must be "debug", "info", "warn" or "error"'],
    ],
    [
      'a text where a map belongs',
      sidecarText('inbound: 127.0.0.1:8080\n'),
      ['15:1: inbound: must be a map (lines of "key: value")'],
    ],
    [
      'a text where a list belongs',
      sidecarText('outbound:\n  routes: all\n'),
      ['16:3: outbound.routes: must be a list (lines that begin with "- ", or [a, b])'],
    ],
    ['a fraction', inbound('limits: {contexts: 1.5}\n'), ['17:10: limits.contexts: must be a whole number']],
    [
      'a number in quotes',
      inbound('limits: {contexts: "10"}\n'),
      ['17:10: limits.contexts: must be a number'],
    ],
    [
      'a number that is too small',
      inbound('limits: {handshakes: 0}\n'),
      ['17:10: limits.handshakes: must be 1 or more'],
    ],
    [
      'a number that is too big',
      inbound('limits: {peerConnections: 1025}\n'),
      ['17:10: limits.peerConnections: must be 1024 or less'],
    ],
    [
      'a duration without unit',
      inbound('limits:\n  idleTimeout: 30\n'),
      ['18:3: limits.idleTimeout: a duration: a whole number and s, m, h or d, such as "15m"'],
    ],
    [
      'a duration that no timer can hold',
      inbound('limits:\n  idleTimeout: 25d\n'),
      ['18:3: limits.idleTimeout: a duration of 24d at most'],
    ],
    [
      'a size in decimal units',
      inbound('limits: {bodyBytes: 10MB}\n'),
      [
        '17:10: limits.bodyBytes: a size in octets: a whole number, with KiB, MiB or GiB behind it or nothing',
      ],
    ],
    [
      'an agent that others can reach',
      sidecarText('inbound:\n  agent: 0.0.0.0:8080\n'),
      [`16:3: inbound.agent: ${LOCAL}`],
    ],
    [
      'an agent by a name',
      sidecarText('inbound:\n  agent: localhost:8080\n'),
      [`16:3: inbound.agent: ${LOCAL}`],
    ],
    [
      'an agent on port 0',
      sidecarText('inbound:\n  agent: 127.0.0.1:0\n'),
      ['16:3: inbound.agent: a port from 1 to 65535'],
    ],
    [
      'an open door out',
      sidecarText('outbound:\n  listen: 0.0.0.0:14001\n'),
      [`16:3: outbound.listen: ${LOCAL}`],
    ],
    [
      'a unix socket that is too long',
      sidecarText(`outbound:\n  listen: unix:/${'x'.repeat(107)}\n`),
      [`16:3: outbound.listen: ${LOCAL}`],
    ],
    [
      'a door in on a unix socket',
      inbound('  listen: unix:/run/in.sock\n'),
      ['17:3: inbound.listen: an address: host:port or [ipv6]:port'],
    ],
    [
      'a peer on port 0',
      route('').replace('10.0.0.7:14443', '10.0.0.7:0'),
      ['19:7: outbound.routes[0].address: a port from 1 to 65535'],
    ],
    [
      'a peer that is a whole trust domain',
      route('').replace('agent/inventory/*', '*'),
      [
        '18:7: outbound.routes[0].peer: an agent ID such as spiffe://company.com/agent/inventory/1, or a type: …/agent/inventory/*',
      ],
    ],
    [
      'a host that is an address',
      route('').replace('inventory.mesh', '169.254.169.254'),
      ['17:7: outbound.routes[0].host: a host name in lower case, without a port; not an IP address'],
    ],
    [
      'a host with a port',
      route('').replace('inventory.mesh', 'inventory.mesh:80'),
      ['17:7: outbound.routes[0].host: a host name in lower case, without a port; not an IP address'],
    ],
    [
      'a host twice',
      route('    - {host: inventory.mesh, peer: spiffe://company.com/agent/a/1, address: a:1}\n'),
      ['20:8: outbound.routes[1].host: inventory.mesh has a route already'],
    ],
    [
      'an address twice',
      inbound('outbound:\n  listen: 127.0.0.1:14443\n'),
      ['18:3: outbound.listen: is the same address as inbound.listen'],
    ],
    [
      'an agent on the sidecar’s own port',
      sidecarText('inbound:\n  agent: 127.0.0.1:14443\n'),
      ['16:3: inbound.agent: is the same address as inbound.listen'],
    ],
    [
      'another kind',
      sidecarText().replace('kind: Sidecar', 'kind: Policy').replace('policy:', 'rules:'),
      ['2:1: kind: this is kind Policy, and kind Sidecar is wanted here'],
    ],
    [
      'a kind in lower case',
      sidecarText().replace('kind: Sidecar', 'kind: sidecar'),
      ['2:1: kind: must be "Sidecar"'],
    ],
    ['no kind', sidecarText().replace('kind: Sidecar\n', ''), ['1:1: kind: is missing']],
    [
      'another version',
      sidecarText().replace('hopgate.dev/v1', 'hopgate.dev/v2'),
      ['1:1: apiVersion: must be "hopgate.dev/v1"'],
    ],
  ])('%s', (_, text, faults) => {
    expect(sidecarFaults(text)).toEqual(faults);
    expect(sidecarFaults(longer(text))).toEqual(faults);
  });

  test('every fault at once, in the order of the text', () => {
    const text = sidecarText('inbound:\n  agent: 8080\nadmin:\n  sockett: a\nlog:\n  level: loud\n').replace(
      '  wit: wit.jwt\n',
      '',
    );
    expect(sidecarFaults(text)).toEqual([
      '3:1: identity.wit: is missing',
      `15:3: inbound.agent: ${LOCAL}`,
      '17:3: admin.sockett: unknown key; did you mean "socket"?',
      '19:3: log.level: must be "debug", "info", "warn" or "error"',
    ]);
  });
});

describe('delegation is never implied', () => {
  const FULL = { scope: '[cloud:read]', ttl: '15m', remainingDepth: '1' };
  const delegate = (fields: Partial<typeof FULL>): string =>
    route(
      `      delegate:\n        {${Object.entries(fields)
        .map(([key, value]) => `${key}: ${value}`)
        .join(', ')}}\n`,
    );

  test('with scope, ttl and remainingDepth it loads', () => {
    expect(sidecarFaults(delegate(FULL))).toEqual([]);
  });

  test.each(['scope', 'ttl', 'remainingDepth'] as const)('without %s it does not', (key) => {
    const { [key]: _, ...rest } = FULL;
    expect(sidecarFaults(delegate(rest))).toEqual([`20:7: outbound.routes[0].delegate.${key}: is missing`]);
  });

  test.each([
    ['an empty map', 'delegate: {}', 3],
    ['true', 'delegate: true', 1],
    ['nothing', 'delegate:', 1],
  ])('as %s it does not', (_, line, count) => {
    expect(sidecarFaults(route(`      ${line}\n`))).toHaveLength(count);
  });

  test.each([
    [{ scope: '[]' }, 'scope: must have 1 entry or more: an empty list is never read as "all"'],
    [
      { scope: '["*"]' },
      'scope[0]: a scope pattern such as cloud:read, cloud:* or ec2:Describe*, or the name of a scope set',
    ],
    [{ ttl: '0s' }, 'ttl: a duration: a whole number and s, m, h or d, such as "15m"'],
    [{ ttl: 'forever' }, 'ttl: a duration: a whole number and s, m, h or d, such as "15m"'],
    [{ remainingDepth: '-1' }, 'remainingDepth: must be 0 or more'],
    [{ remainingDepth: '8' }, 'remainingDepth: must be 7 or less'],
  ])('%o does not load', (change, message) => {
    const [fault, ...others] = sidecarFaults(delegate({ ...FULL, ...change }));
    expect(fault).toMatch(/^21:\d+: /);
    expect(fault?.endsWith(`: outbound.routes[0].delegate.${message}`)).toBe(true);
    expect(others).toEqual([]);
  });
});

describe('a secret in place of a file name', () => {
  test.each([
    [
      'PEM',
      'svidKey: svid.key',
      'svidKey: |\n    -----BEGIN PRIVATE KEY-----\n    MIGHAgEAMBMGByqGSM49\n    -----END PRIVATE KEY-----',
      'svidKey',
    ],
    [
      'PEM on one line',
      'agentKey: agent.key',
      'agentKey: "-----BEGIN PRIVATE KEY----- MIGHAgEAMBMGByqGSM49 -----END PRIVATE KEY-----"',
      'agentKey',
    ],
    ['a token', 'wit: wit.jwt', 'wit: eyJhbGciOiJFZDI1NTE5In0.eyJMIGHAgEAMBMGByqGSM49', 'wit'],
    ['JSON', 'keyBinding: key-binding.json', `keyBinding: '{"sig": "MIGHAgEAMBMGByqGSM49"}'`, 'keyBinding'],
  ])('%s gets told so, and is not repeated', (_, right, wrong, key) => {
    const [fault, ...others] = sidecarFaults(sidecarText().replace(right, wrong));
    expect(fault).toMatch(new RegExp(`^\\d+:3: identity\\.${key}: `));
    expect(fault?.endsWith(CONTENT)).toBe(true);
    expect(others).toEqual([]);
    expect(fault).not.toContain('MIGHAgEAMBMGByqGSM49');
  });
});

describe('where trust comes from', () => {
  const DOOR = 'inbound:\n  agent: 127.0.0.1:8080\n';
  const files = /identity:\n(?: {2}.*\n)+/.exec(sidecarText())?.[0] ?? '';
  const onVerifier = (more = '', identity = ''): string =>
    sidecarText(`${DOOR}${more}`)
      .replace(files, identity)
      .replace(/ {2}bundle: .*\n/, '  verifier:\n    addresses: ["verifier.company.com:14300"]\n')
      .replace(/^policy: .*\n/m, '');

  test('a verifier instead of bundle, policy and identity files', () => {
    expect(sidecarFaults(onVerifier())).toEqual([]);
  });

  test.each([
    [
      'both',
      sidecarText().replace(/( {2}bundle: .*\n)/, '$1  verifier: {addresses: ["v:14300"]}\n'),
      [
        'trust.bundle',
        'policy',
        'identity.svid',
        'identity.svidKey',
        'identity.agentKey',
        'identity.auditKey',
        'identity.wit',
        'identity.keyBinding',
      ],
    ],
    ['neither', sidecarText().replace(/ {2}bundle: .*\n/, ''), ['trust.bundle']],
    ['a policy beside the verifier', `${onVerifier()}policy: policy.yaml\n`, ['policy']],
    ['keys without a verifier', sidecarText(`${DOOR}keys:\n  store: memory\n`), ['keys']],
    ['memory and a token that is good once', onVerifier('keys:\n  store: memory\n'), ['keys.store']],
    [
      'no address',
      onVerifier().replace('["verifier.company.com:14300"]', '[]'),
      ['trust.verifier.addresses'],
    ],
    [
      'a method without what it shows',
      onVerifier('', 'identity:\n  attestation:\n    method: kubernetes\n'),
      ['identity.attestation.tokenFile'],
    ],
    [
      'what belongs to another method',
      onVerifier('', 'identity:\n  attestation:\n    method: join\n    tokenFile: token\n'),
      ['identity.attestation.tokenFile'],
    ],
  ])('%s', (_name, text, fields) => {
    const named = sidecarFaults(text).map((fault) => /^\d+:\d+: ([\w.]+): /.exec(fault)?.[1]);
    expect(new Set(named)).toEqual(new Set(fields));
  });
});

const point = (lines: string): string =>
  sidecarText(`inbound: {agent: 127.0.0.1:8080}\ndecisionPoints:\n${lines}`);
const URL_FORM =
  'a URL without credentials or fragment: https://…, http:// to 127.0.0.1, [::1] or localhost, where nobody else listens in, or unix:/path';

describe('decision points', () => {
  test.each([
    'url: http://127.0.0.1:8181',
    'url: http://localhost:8181/opa/',
    'url: https://opa.company.com',
    'url: unix:/run/opa.sock, timeout: 5ms, maxInFlight: 1',
  ])('rest: {%s}', (rest) => {
    expect(sidecarFaults(point(`  org: {rest: {${rest}}}\n`))).toEqual([]);
  });

  test.each([
    'url: https://b.company.com/a.tar.gz?x=1, publicKeyFile: k.pem, longPoll: 5m',
    'file: a.tar.gz, publicKeyFile: k.pem, keyId: release, scope: write',
    'file: a.tar.gz, signature: none',
  ])('bundle: {%s}', (bundle) => {
    expect(sidecarFaults(point(`  org: {bundle: {${bundle}}}\n`))).toEqual([]);
  });

  test.each<[string, string[]]>([
    [
      '  Org: {rest: {url: "unix:/a"}}\n',
      ['17:3: decisionPoints.Org: a name: lower-case letters, digits and "-"'],
    ],
    ['  org: {}\n', ['17:3: decisionPoints.org: needs rest or bundle']],
    [
      '  org: {rest: {url: "unix:/a"}, bundle: {file: a, signature: none}}\n',
      ['17:33: decisionPoints.org.bundle: there is rest already: one of the two'],
    ],
    ['  org: {rest: {}}\n', ['17:9: decisionPoints.org.rest.url: is missing']],
    [
      '  org: {rest: {url: "unix:/a", timeOut: 1s}}\n',
      ['17:32: decisionPoints.org.rest.timeOut: unknown key; did you mean "timeout"?'],
    ],
    ...[
      'http://opa:8181',
      'http://127.0.0.1.evil.com',
      'ftp://127.0.0.1',
      'https://u:p@opa',
      'unix:opa',
      'opa',
    ].map((url): [string, string[]] => [
      `  org: {rest: {url: "${url}"}}\n`,
      [`17:16: decisionPoints.org.rest.url: ${URL_FORM}`],
    ]),
    [
      '  org: {rest: {url: "https://opa/?a=b"}}\n',
      [
        '17:16: decisionPoints.org.rest.url: the address of OPA, without a query: /v1/data and the path come behind it',
      ],
    ],
    [
      '  org: {rest: {url: "unix:/a", timeout: 61s}}\n',
      ['17:32: decisionPoints.org.rest.timeout: a minute at most'],
    ],
    [
      '  org: {rest: {url: "unix:/a", timeout: 1m}}\n',
      ['17:32: decisionPoints.org.rest.timeout: a short time: a whole number and ms or s, such as "50ms"'],
    ],
    ['  org: {bundle: {publicKeyFile: k}}\n', ['17:9: decisionPoints.org.bundle: needs url or file']],
    [
      '  org: {bundle: {file: a, url: "https://b/c", publicKeyFile: k}}\n',
      ['17:18: decisionPoints.org.bundle.file: there is url already: one of the two'],
    ],
    ['  org: {bundle: {file: a}}\n', ['17:9: decisionPoints.org.bundle.publicKeyFile: is missing']],
    [
      '  org: {bundle: {url: "https://b/c", signature: none}}\n',
      [
        '17:38: decisionPoints.org.bundle.signature: what comes over the network must be signed: name publicKeyFile',
      ],
    ],
    [
      '  org: {bundle: {file: a, signature: none, publicKeyFile: k}}\n',
      ['17:44: decisionPoints.org.bundle.publicKeyFile: contradicts signature: none'],
    ],
    [
      '  org: {bundle: {file: a, publicKeyFile: k, longPoll: 5m}}\n',
      ['17:45: decisionPoints.org.bundle.longPoll: belongs to url, and this is a file'],
    ],
    [
      '  org: {bundle: {file: a, signature: off}}\n',
      ['17:27: decisionPoints.org.bundle.signature: must be "none"'],
    ],
  ])('%s', (lines, faults) => {
    expect(sidecarFaults(point(lines))).toEqual(faults);
  });
});
