/** A person who inspects a chain reads what a sidecar would say of it, and no key or signature. */
import { describe, expect, it } from 'vitest';
import { inspectBundle } from '../../../src/cli/inspect-bundle.ts';
import { inspectChain } from '../../../src/cli/inspect-chain.ts';
import { inspectSvid, inspectWit } from '../../../src/cli/inspect-credential.ts';
import type { Inspection } from '../../../src/cli/inspection.ts';
import type { KnownTrust } from '../../../src/cli/known-trust.ts';
import { parseLink } from '../../../src/core/delegation/link.ts';
import { signJws } from '../../../src/core/encoding/jws.ts';
import { jwkOf, thumbprintOf, thumbprintUrn } from '../../../src/core/keys.ts';
import { deny, grant } from '../../../src/core/verdict.ts';
import { makeSigningKey } from '../../../src/edge/keys/signing-key.ts';
import { makeDomain, must, type TestBundleOptions } from '../../testkit/domain.ts';

const NOW = 1_800_000_000;
const domain = await makeDomain({ now: NOW });
const planning = domain.agent('planning/abc123');
const inventory = domain.agent('inventory/def456');

const NOTHING: KnownTrust = {
  dir: undefined,
  state: undefined,
  bundle: undefined,
  root: undefined,
  policy: undefined,
};
const trustWith = (options: TestBundleOptions = {}): KnownTrust => ({
  ...NOTHING,
  root: domain.root.thumbprint,
  bundle: grant(domain.verifiedBundle(options)),
});
const rowsOf = ({ sections }: Inspection, index: number): Record<string, string> =>
  Object.fromEntries(sections[index]?.rows ?? []);

const chain = domain.mintChain(['planning/abc123', 'inventory/def456'], {
  scope: ['cloud:read', 'ec2:Describe*'],
});

describe('a chain that holds', () => {
  const inspection = inspectChain(chain, trustWith(), NOW + 60);

  it('is valid, and the reader hears for whom', () => {
    expect(inspection.result).toMatchObject({ ok: true, value: { verified: true } });
    expect(inspection.notes[0]).toContain(`held against ${inventory.id} as the caller`);
  });

  it('is told link by link', () => {
    expect(inspection.sections.map(({ heading }) => heading)).toEqual([
      '0  mailto:alice@company.com → planning/abc123',
      '1  planning/abc123 → inventory/def456',
    ]);
    expect(rowsOf(inspection, 0)).toMatchObject({
      scope: 'cloud:read  ec2:Describe*',
      issued: '60 s ago (2027-01-15T08:00:00Z)',
      expires: 'in 59 min (2027-01-15T09:00:00Z)',
      anchor: `key ${domain.principal().thumbprint}`,
    });
  });

  it('says what a link gave up', () => {
    const narrower = `${domain.mintRoot(planning, { scope: ['cloud:*', 'ec2:Describe*', 's3:*'], ttlSeconds: 3600 })}`;
    const grantLink = domain.mintGrant(narrower, planning, inventory, {
      scope: ['cloud:read', 'ec2:Describe*'],
      ttlSeconds: 900,
      remainingDepth: 0,
      caveats: [{ type: 'resource', paths: ['/reports'] }],
    });
    const told = rowsOf(inspectChain(`${narrower}~${grantLink}`, trustWith(), NOW), 1);
    expect(told.narrowed).toBe(
      'scope without s3:*; cloud:* to cloud:read; ends 45 min sooner; depth 5 to 2; 1 more caveat',
    );
    expect(told.caveat).toBe('only /reports and below');
  });

  it('is only half checked without a bundle, and the reader hears so', () => {
    const { result } = inspectChain(chain, NOTHING, NOW);
    expect(result).toMatchObject({ ok: true, value: { verified: false } });
  });
});

describe('a chain that does not hold', () => {
  const reasonOf = (text: string, trust = trustWith(), now = NOW) => {
    const { result } = inspectChain(text, trust, now);
    return result.ok ? 'ok' : result.reason;
  };
  const forge = (text: string, change: (payload: Record<string, unknown>) => void, sign = planning.sign) => {
    const payload = JSON.parse(Buffer.from(text.split('.')[1] ?? '', 'base64url').toString());
    change(payload);
    return signJws('dlink+jwt', payload, sign);
  };
  const [root = '', leaf = ''] = chain.split('~');

  it('because it expired', () => {
    expect(reasonOf(chain, trustWith({ now: NOW + 3600 }), NOW + 3630)).toBe('link_expired');
    expect(reasonOf(chain, NOTHING, NOW + 3630)).toBe('link_expired');
  });

  it('because a link was widened, which is shown', () => {
    const wide = `${root}~${forge(leaf, (payload) => {
      payload.scope = ['cloud:*'];
    })}`;
    expect(reasonOf(wide)).toBe('link_scope_widened');
    expect(reasonOf(wide, NOTHING)).toBe('link_scope_widened');
    expect(rowsOf(inspectChain(wide, NOTHING, NOW), 1).narrowed).toContain('WIDENED by cloud:*');
  });

  it('because another key signed a link', () => {
    const other = makeSigningKey();
    expect(reasonOf(`${root}~${forge(leaf, () => undefined, other.sign)}`)).toBe('link_signature');
    const mine = forge(
      root,
      (payload) => {
        payload.iss = thumbprintUrn(thumbprintOf(other.x));
      },
      other.sign,
    );
    expect(reasonOf(mine)).toBe('anchor_unknown');
  });

  it('because something in it was revoked', () => {
    const link = must(parseLink(root, true)).id;
    expect(reasonOf(chain, trustWith({ revoked: [{ link }] }))).toBe('revoked_link');
    expect(reasonOf(chain, trustWith({ revoked: [{ agent: planning.id }] }))).toBe('revoked_agent');
  });

  it('because the bundle does not hold', () => {
    expect(reasonOf(chain, { ...trustWith(), bundle: deny('bundle_expired', 'x') })).toBe('bundle_expired');
  });

  it('because a grant stands alone', () => {
    expect(reasonOf(leaf)).toBe('grant_without_chain');
  });

  it('because it is cut, doubled, empty or junk; what can be read is shown', () => {
    expect(reasonOf(`${chain}~`)).toBe('jws_structure');
    expect(inspectChain(`${chain}~`, NOTHING, NOW).sections).toHaveLength(2);
    expect(reasonOf(chain.slice(0, -1))).toBe('jws_structure');
    expect(reasonOf(Array(17).fill('a').join('~'))).toBe('chain_too_many_links');
    expect(reasonOf('a'.repeat(8193))).toBe('chain_too_large');
    expect(reasonOf(`${root}~${root}`)).toBe('claim_unknown');
  });

  it('because the leaf’s key is none', () => {
    const weak = forge(
      root,
      (payload) => {
        payload.cnf = { jwk: jwkOf(Buffer.alloc(32, 0).fill(1, 0, 1).toString('base64url')) };
      },
      domain.principal().sign,
    );
    expect(reasonOf(weak)).toBe('key_small_order');
  });
});

describe('credentials', () => {
  it('a WIT is valid under its bundle, unknown without, expired after', () => {
    expect(inspectWit(planning.wit, trustWith(), NOW).result).toMatchObject({ value: { verified: true } });
    expect(inspectWit(planning.wit, NOTHING, NOW).result).toMatchObject({ value: { verified: false } });
    expect(inspectWit(planning.wit, NOTHING, NOW + 3600).result).toMatchObject({ reason: 'wit_expired' });
  });

  it('a WIT and an SVID of another domain are not valid', async () => {
    const foreign = await makeDomain({ now: NOW, agents: ['planning/1'] });
    const agent = foreign.agent('planning/1');
    expect(inspectWit(agent.wit, trustWith(), NOW).result).toMatchObject({ reason: 'wit_issuer_unknown' });
    expect(inspectSvid(agent.svidPem, trustWith(), NOW).result).toMatchObject({ reason: 'svid_untrusted' });
    expect(inspectSvid(planning.svidPem, trustWith(), NOW).result.ok).toBe(true);
    expect(inspectSvid(planning.svidPem, trustWith(), NOW + 3600).result).toMatchObject({
      reason: 'svid_expired',
    });
  });

  it('an expired bundle is not valid and can still be read', () => {
    const text = domain.bundle({ ttlSeconds: 60 });
    const inspection = inspectBundle(text, trustWith(), NOW + 90);
    expect(inspection.result).toMatchObject({ reason: 'bundle_expired' });
    expect(inspection.sections[0]?.heading).toBe('bundle 1.1 of company.com');
  });

  it('a bundle under another root is not valid', () => {
    const trust = { ...trustWith(), root: makeSigningKey().thumbprint };
    expect(inspectBundle(domain.bundle(), trust, NOW).result).toMatchObject({ reason: 'bundle_signer' });
  });
});

it('no inspection holds a key or a signature', () => {
  const bundle = domain.bundle();
  const shown = JSON.stringify([
    inspectChain(chain, trustWith(), NOW),
    inspectWit(planning.wit, trustWith(), NOW),
    inspectBundle(bundle, trustWith(), NOW),
    inspectSvid(planning.svidPem, trustWith(), NOW),
  ]);
  const signatures = [...chain.split('~'), planning.wit, bundle].map((jws) => jws.split('.')[2] ?? '');
  const kb = JSON.parse(Buffer.from(chain.split('~')[1]?.split('.')[1] ?? '', 'base64url').toString()).kb.sig;
  for (const secret of [...signatures, kb, planning.x, inventory.x, domain.principal().x, domain.root.x])
    expect(shown).not.toContain(secret);
});
