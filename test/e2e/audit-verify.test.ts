import { describe, expect, test } from 'vitest';
import { mintWit } from '../../src/core/trust/wit.ts';
import { runCli } from '../testkit/cli-process.ts';
import { rootKey, sealedBundle } from '../testkit/core-bundle.ts';
import { auditKey, jti, NOW, testKey } from '../testkit/core-world.ts';
import {
  decision,
  INVENTORY,
  outcome,
  PLANNING,
  SealedLog,
  sessionOf,
  started,
  twoSides,
  writeFiles,
} from '../testkit/sealed-log.ts';

const BUNDLE = sealedBundle().text;
const ROOT = `--root=${rootKey.thumbprint}`;

interface Report {
  readonly ok: boolean;
  readonly files: readonly {
    readonly records: number;
    readonly signedThrough: number;
    readonly unsigned: number;
    readonly endedCleanly: boolean;
    readonly unfinished: boolean;
    readonly fault?: { readonly reason: string; readonly line: number; readonly detail: string };
  }[];
  readonly unmatched: readonly { readonly kind: string; readonly count: number }[];
}

/** Verifies logs by name; `<name>.head` files stand beside them. */
const verify = async (
  files: Readonly<Record<string, string | Uint8Array>>,
): Promise<Report & { readonly code: number | null }> => {
  const at = writeFiles({ ...files, 'bundle.jws': BUNDLE });
  const logs = Object.keys(files).filter((name) => name.endsWith('.log'));
  const { code, stdout, stderr } = await runCli(
    ...['audit', 'verify', '--json', '--bundle', at('bundle.jws'), ROOT],
    ...logs.map(at),
  );
  expect(stderr).toBe('');
  return { ...(JSON.parse(stdout) as Report), code };
};

const sound = () => twoSides(3).caller;
const textOf = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');
/** The lines of a sound log, edited. */
const edited = (edit: (lines: string[]) => void): string => {
  const lines = [...sound().lines];
  edit(lines);
  return textOf(lines);
};

describe('a log that is as it was written', () => {
  test('is sound, signed and ended', async () => {
    const { code, ok, files } = await verify({ 'a.log': sound().text, 'a.log.head': sound().headText });
    expect({ code, ok }).toEqual({ code: 0, ok: true });
    expect(files[0]).toMatchObject({ records: 9, signedThrough: 9, unsigned: 0, endedCleanly: true });
  });

  test('may have a tail that is not signed yet, which is counted', async () => {
    const log = new SealedLog(PLANNING).add(started).checkpoint().add(decision()).add(outcome());
    const { code, files } = await verify({ 'a.log': log.text, 'a.log.head': log.headText });
    expect(code).toBe(0);
    expect(files[0]).toMatchObject({ records: 4, signedThrough: 2, unsigned: 2, endedCleanly: false });
  });

  test('may end in an unfinished write', async () => {
    const { code, files } = await verify({ 'a.log': `${sound().text}{"agents":[` });
    expect(code).toBe(0);
    expect(files[0]).toMatchObject({ records: 9, unfinished: true });
  });
});

describe('a log that somebody touched', () => {
  test.each<[string, string | Uint8Array, string, number]>([
    [
      'a changed verdict',
      edited((lines) => {
        lines[1] = lines[1]?.replace('"rule":"readers"', '"rule":"nobody"') ?? '';
      }),
      'audit_hash',
      2,
    ],
    ['a record taken out', edited((lines) => lines.splice(3, 1)), 'audit_gap', 4],
    ['a record put in twice', edited((lines) => lines.splice(3, 0, lines[2] ?? '')), 'audit_order', 4],
    [
      'two records in each other’s place',
      edited((lines) => lines.splice(3, 2, lines[4] ?? '', lines[3] ?? '')),
      'audit_gap',
      4,
    ],
    ['an empty line', edited((lines) => lines.splice(2, 0, '')), 'audit_line', 3],
    ['CR LF', sound().text.replaceAll('\n', '\r\n'), 'audit_line', 1],
    ['a byte order mark', `\ufeff${sound().text}`, 'audit_line', 1],
    [
      'white space',
      edited((lines) => lines.splice(0, 1, lines[0]?.replace(':', ': ') ?? '')),
      'audit_line',
      1,
    ],
    ['another log in its place', new SealedLog(INVENTORY).add(started).checkpoint().text, 'audit_order', 1],
  ])('%s', async (_what, text, reason, line) => {
    const { code, ok, files } = await verify({ 'a.log': text, 'a.log.head': sound().headText });
    expect({ code, ok }).toEqual({ code: 1, ok: false });
    expect(files[0]).toMatchObject({ records: line - 1, endedCleanly: false, fault: { reason, line } });
  });

  test('any one bit, wherever it is flipped', async () => {
    const octets = Buffer.from(sound().text);
    const flipped: Record<string, Buffer> = {};
    for (let at = 0; at < octets.length; at += 211) {
      const copy = Buffer.from(octets);
      copy[at] = (copy[at] ?? 0) ^ (1 << (at % 8));
      flipped[`${at}.log`] = copy;
    }
    const { files } = await verify(flipped);
    expect(files.length).toBeGreaterThan(20);
    expect(files.filter(({ fault, unfinished }) => fault === undefined && !unfinished)).toEqual([]);
  });

  test('octets that only look the same', async () => {
    const log = new SealedLog(PLANNING).add(decision({ target: '/\ufffd' })).checkpoint();
    const octets = Buffer.from(log.text);
    const at = octets.indexOf(Buffer.from('\ufffd'));
    const invalid = Buffer.concat([octets.subarray(0, at), Buffer.from([0xff]), octets.subarray(at + 3)]);
    const { files } = await verify({ 'a.log': invalid });
    expect(files[0]?.fault).toMatchObject({ reason: 'audit_line', line: 1 });
  });

  test('rewritten and hashed anew: the checkpoint is not theirs', async () => {
    const log = new SealedLog(PLANNING).add(started).add(decision({ target: '/harmless' }));
    const honest = new SealedLog(PLANNING).add(started).add(decision()).checkpoint();
    const { proof, wit } = JSON.parse(honest.lines[2] ?? '') as { proof: string; wit: string };
    log.add({ kind: 'checkpoint', proof, wit });
    const { files } = await verify({ 'a.log': log.text });
    expect(files[0]?.fault).toMatchObject({ reason: 'audit_checkpoint', line: 3 });
  });

  test('signed by an audit key that no issuer of the bundle certified', async () => {
    const stranger = testKey('another issuer');
    const claims = {
      sub: PLANNING.id,
      agentX: PLANNING.key.x,
      auditX: auditKey.x,
      iat: NOW - 60,
      exp: NOW + 3600,
    };
    const wit = mintWit({ ...claims, jti: jti('forged') }, stranger.sign, stranger.thumbprint);
    const log = new SealedLog({ ...PLANNING, wit }).add(started).checkpoint();
    const { files } = await verify({ 'a.log': log.text });
    expect(files[0]).toMatchObject({
      signedThrough: 0,
      fault: { reason: 'audit_checkpoint', line: 2, detail: expect.stringContaining('wit_issuer_unknown') },
    });
  });
});

describe('a log that was cut short', () => {
  test('is shown by the checkpoint that its sidecar noted', async () => {
    const { code, files } = await verify({
      'a.log': textOf(sound().lines.slice(0, 5)),
      'a.log.head': sound().headText,
    });
    expect(code).toBe(1);
    expect(files[0]).toMatchObject({ records: 5, fault: { reason: 'audit_cut', line: 6 } });
  });

  test('to nothing', async () => {
    const { files } = await verify({ 'a.log': '', 'a.log.head': sound().headText });
    expect(files[0]?.fault).toMatchObject({ reason: 'audit_cut', line: 1 });
  });

  test('and goes on otherwise: another record stands where the checkpoint stood', async () => {
    const other = new SealedLog(PLANNING).add(started);
    while (other.lines.length < 9) other.add(decision());
    const { files } = await verify({ 'a.log': other.text, 'a.log.head': sound().headText });
    expect(files[0]?.fault).toMatchObject({ reason: 'audit_checkpoint', line: 9 });
  });

  test('is shown by the log of the other side, at either end', async () => {
    const { caller, callee } = twoSides(4);
    const cutCallee = { 'a.log': caller.text, 'b.log': textOf(callee.lines.slice(0, 5)) };
    const cutCaller = { 'a.log': textOf(caller.lines.slice(0, 5)), 'b.log': callee.text };
    for (const [files, cut] of [
      [cutCallee, 1],
      [cutCaller, 0],
    ] as const) {
      const report = await verify(files);
      expect(report.code).toBe(1);
      expect(report.files[cut]?.fault).toMatchObject({ reason: 'audit_cut', line: 6 });
      expect(report.files[1 - cut]?.fault).toBeUndefined();
      expect(report.unmatched).toMatchObject([{ kind: 'audit_cut', count: 2 }]);
    }
  });

  test('but a hop that one log lacks in its middle is a warning', async () => {
    const { callee } = twoSides(3);
    const caller = new SealedLog(PLANNING).add(started);
    for (const n of [1, 3]) caller.add(decision({ hop: `${sessionOf('one')}.${n}` }), (NOW + 60 * n) * 1000);
    const { code, unmatched } = await verify({ 'a.log': caller.stop().text, 'b.log': callee.text });
    expect(code).toBe(0);
    expect(unmatched).toMatchObject([{ kind: 'hole', count: 1 }]);
  });
});

describe('what people see', () => {
  test('place, reason and meaning of the first fault', async () => {
    const at = writeFiles({ 'a.log': edited((lines) => lines.splice(3, 1)), 'bundle.jws': BUNDLE });
    const { code, stdout } = await runCli('audit', 'verify', '--bundle', at('bundle.jws'), ROOT, at('a.log'));
    expect(code).toBe(1);
    expect(stdout).toContain(`${at('a.log')}:4: audit_gap: record 5 follows record 3`);
    expect(stdout).toContain('Records before this line were taken out.');
    expect(stdout).toContain('No record before it is signed.');
  });

  test('from which line on nothing is signed', async () => {
    const log = new SealedLog(PLANNING).add(started).checkpoint().add(decision());
    const at = writeFiles({ 'a.log': log.text, 'bundle.jws': BUNDLE });
    const { stdout } = await runCli('audit', 'verify', '--bundle', at('bundle.jws'), ROOT, at('a.log'));
    expect(stdout).toContain('the last record, line 3, is chained but not yet signed');
  });
});

describe('the keys that it trusts', () => {
  test('are those of a bundle by the given root, even when it has expired', async () => {
    const old = sealedBundle({ bundle: { iat: NOW - 9000, exp: NOW - 8000 }, roles: { iat: NOW - 9000 } });
    const at = writeFiles({ 'a.log': sound().text, 'old.jws': old.text });
    const { code } = await runCli('audit', 'verify', '--bundle', at('old.jws'), ROOT, at('a.log'));
    expect(code).toBe(0);
  });

  test.each([
    ['a bundle by another root', `--root=${auditKey.thumbprint}`, 1, 'bundle_signer'],
    ['a root that is no thumbprint', '--root=company', 2, '43 characters'],
  ])('not those of %s', async (_what, root, expected, text) => {
    const at = writeFiles({ 'a.log': sound().text, 'bundle.jws': BUNDLE });
    const { code, stderr } = await runCli('audit', 'verify', '--bundle', at('bundle.jws'), root, at('a.log'));
    expect(code).toBe(expected);
    expect(stderr).toContain(text);
  });

  test('must be named', async () => {
    const at = writeFiles({ 'a.log': sound().text });
    expect((await runCli('audit', 'verify', at('a.log'))).code).toBe(2);
  });
});
