import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { sha256Base64url } from '../../../../src/core/encoding/jws.ts';
import type { Policy } from '../../../../src/core/policy/model.ts';
import { TrustFiles } from '../../../../src/edge/store/trust-files.ts';
import { issueSvidCa } from '../../../../src/verifier/authority/certificates.ts';
import { type BundleChanges, rootKey, sealedBundle } from '../../../testkit/core-bundle.ts';
import { DOMAIN, LIMITS, NOW } from '../../../testkit/core-world.ts';

const POLICY: Policy = {
  revision: 'r1',
  limits: { ...LIMITS, sessionSeconds: 600 },
  scopeSets: {},
  lists: { allowAgents: [], blockAgents: [], blockPrincipals: [] },
  routes: [],
  rules: [],
  demands: [],
};

let directory: string;
// Trust whose CAs TLS could not use is not taken: this one is real.
let x509: readonly string[];
beforeAll(async () => {
  const { certificateDer } = await issueSvidCa(DOMAIN, { now: NOW, ttlSeconds: 3600 });
  x509 = [certificateDer.toString('base64url')];
});
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hopgate-trust-'));
  writeFileSync(join(directory, 'policy.yaml'), '');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const orderFile = (): string => join(directory, 'order.json');
const putBundle = (bundle: BundleChanges['bundle'] = {}): string => {
  const { text } = sealedBundle({ bundle, roles: { x509 } });
  writeFileSync(join(directory, 'bundle.jws'), text);
  return text;
};
const open = (): TrustFiles =>
  new TrustFiles({
    files: {
      bundle: join(directory, 'bundle.jws'),
      policy: join(directory, 'policy.yaml'),
      order: orderFile(),
    },
    trustDomain: DOMAIN,
    root: rootKey.thumbprint,
    clock: { now: () => NOW * 1000, monotonic: () => 0 },
    parsePolicy: () => POLICY,
  });
const kept = (): unknown => JSON.parse(readFileSync(orderFile(), 'utf8'));

describe('another bundle under the number of the last one', () => {
  test('is left out at a reload: the last good one stays', () => {
    const text = putBundle();
    const trust = open();
    putBundle({ exp: NOW + 601 });
    expect(trust.reload()).toEqual([expect.stringContaining('bundle_rollback')]);
    expect(trust.last.bundle.exp).toBe(NOW + 600);
    expect(kept()).toEqual({ epoch: 1, seq: 7, digest: sha256Base64url(text) });
  });

  test('is no bundle to start with', () => {
    putBundle();
    open();
    putBundle({ exp: NOW + 601 });
    expect(() => open()).toThrow('bundle_rollback');
  });
});

test('the same bundle again, at a reload or a start, and one of a higher number are taken', () => {
  putBundle();
  const trust = open();
  expect(trust.reload()).toEqual([]);
  expect(open().last.bundle.seq).toBe(7);
  const next = putBundle({ seq: 8 });
  expect(trust.reload()).toEqual([]);
  expect(trust.last.bundle.seq).toBe(8);
  expect(kept()).toEqual({ epoch: 1, seq: 8, digest: sha256Base64url(next) });
});

test('an order of an older version, without digest, is read, and gets one', () => {
  const text = putBundle();
  writeFileSync(orderFile(), '{"epoch":1,"seq":7}\n');
  open();
  expect(kept()).toEqual({ epoch: 1, seq: 7, digest: sha256Base64url(text) });
});

describe('what the bundle says beside the policy in a file', () => {
  const bob = 'mailto:bob@company.com';

  test('its lists hold as well', () => {
    putBundle({ lists: { allowAgents: [], blockAgents: [], blockPrincipals: [bob] } });
    const { lists } = open().last.policy;
    expect(lists.some(({ blockPrincipals }) => blockPrincipals.has(bob))).toBe(true);
  });

  test('where somebody makes timestamps, it is no fresher than its own making, and ages', () => {
    putBundle();
    expect(open().last).toMatchObject({ freshAt: NOW - 10, maxStalenessSeconds: 3600 });
  });

  test('where nobody makes any, its end and demands count alone', () => {
    writeFileSync(join(directory, 'bundle.jws'), sealedBundle({ roles: { timestamp: [] } }).text);
    expect(open().last).toMatchObject({ freshAt: NOW - 10, maxStalenessSeconds: Number.POSITIVE_INFINITY });
  });
});

test.each(['', '{"epoch":1}', '{"epoch":1,"seq":7,"digest":"none"}', '{"epoch":1,"seq":7,"digest":7}'])(
  'an order that is damaged stops the start: %s',
  (text) => {
    putBundle();
    writeFileSync(orderFile(), text);
    expect(() => open()).toThrow('is damaged');
  },
);
