/** The role keys of this verifier: records in the store, private halves sealed there and open in memory only. */
import type { KeyObject } from 'node:crypto';
import type { KeyEncryption } from '../../edge/keys/key-encryption.ts';
import { makeSigningKey, type SigningKey, signingKeyOf } from '../../edge/keys/signing-key.ts';
import type { Edit, Recorded, Records } from '../records.ts';
import { issueSvidCa, readSvidCa, type SvidCa } from './certificates.ts';
import { type KeyRecord, type KeyRole, keyKind, keyNameOf, type SigningRole } from './key-records.ts';
import { thumbprintOfPublic } from './roles-document.ts';
import { type KeyName, sealKey, unsealKey } from './root-key.ts';
import { activeOf } from './rotation.ts';
import { caSecondsOf, longestOf, type Timing } from './timing.ts';

export const certificatePemOf = (der: Buffer): string =>
  `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replace(/(.{64})(?=.)/g, '$1\n')}\n-----END CERTIFICATE-----\n`;

export class KeyRing {
  readonly trustDomain: string;
  private readonly encryption: KeyEncryption;
  private readonly timing: Timing;
  private recorded: ReadonlyMap<string, Recorded<KeyRecord>>;
  private readonly signing = new Map<string, SigningKey>();
  private readonly authorities = new Map<string, SvidCa>();

  private constructor(
    trustDomain: string,
    encryption: KeyEncryption,
    timing: Timing,
    recorded: readonly Recorded<KeyRecord>[],
  ) {
    this.trustDomain = trustDomain;
    this.encryption = encryption;
    this.timing = timing;
    this.recorded = new Map(recorded.map((key) => [key.name, key]));
  }

  /** Throws `KeyEncryptionError` when a key that signs does not open. */
  static async open(
    trustDomain: string,
    records: Records,
    encryption: KeyEncryption,
    timing: Timing,
  ): Promise<KeyRing> {
    const ring = new KeyRing(trustDomain, encryption, timing, await records.list(keyKind));
    for (const key of ring.keys) {
      if (key.sealed !== null) ring.keep(key, unsealKey(encryption, key.sealed, ring.named(key)));
    }
    return ring;
  }

  get keys(): readonly KeyRecord[] {
    return [...this.recorded.values()].map(({ value }) => value);
  }

  /** The key that signs now. */
  signer(role: SigningRole): SigningKey | undefined {
    const active = activeOf(this.keys, role);
    return active && this.signing.get(keyNameOf(active));
  }

  /** The CA that signs now. */
  ca(): SvidCa | undefined {
    const active = activeOf(this.keys, 'svid-ca');
    return active && this.authorities.get(keyNameOf(active));
  }

  /** Makes a key that waits to be named. It counts when it has been committed. */
  async make(role: KeyRole, now: number, atOnce: boolean): Promise<KeyRecord> {
    let half: { readonly thumbprint: string; readonly public: string };
    let key: KeyObject;
    if (role === 'svid-ca') {
      const ca = await issueSvidCa(this.trustDomain, { now, ttlSeconds: caSecondsOf(this.timing) });
      key = ca.key;
      half = {
        thumbprint: thumbprintOfPublic(ca.certificateDer.toString('base64url')),
        public: ca.certificateDer.toString('base64url'),
      };
    } else {
      const made = makeSigningKey();
      key = made.key;
      half = { thumbprint: made.thumbprint, public: made.x };
    }
    const record: KeyRecord = {
      role,
      ...half,
      state: 'next',
      sealed: sealKey(this.encryption, key, this.named({ role, thumbprint: half.thumbprint })),
      longestSeconds: longestOf(role, this.timing),
      atOnce,
      madeAt: now,
      namedAt: null,
      activeAt: null,
      retiredAt: null,
      until: null,
    };
    this.keep(record, key);
    return record;
  }

  /** Writes those of `keys` that differ from what is recorded. */
  stage(edit: Edit, keys: readonly KeyRecord[]): void {
    for (const key of keys) {
      const was = this.recorded.get(keyNameOf(key));
      if (was?.value !== key) edit.set(keyKind, keyNameOf(key), key, was ?? null);
    }
  }

  /** Takes over what was staged, committed as `revision`. What signs no more is forgotten. */
  adopt(keys: readonly KeyRecord[], revision: number): void {
    this.recorded = new Map(
      keys.map((value) => {
        const name = keyNameOf(value);
        const was = this.recorded.get(name);
        return [name, was?.value === value ? was : { name, value, revision }];
      }),
    );
    for (const key of keys) {
      if (key.sealed !== null) continue;
      this.signing.delete(keyNameOf(key));
      this.authorities.delete(keyNameOf(key));
    }
  }

  private keep(record: KeyRecord, key: KeyObject): void {
    const name = keyNameOf(record);
    if (record.role === 'svid-ca') {
      const pem = certificatePemOf(Buffer.from(record.public, 'base64url'));
      this.authorities.set(name, readSvidCa(this.trustDomain, pem, key));
      return;
    }
    const signing = signingKeyOf(key);
    if (signing !== undefined) this.signing.set(name, signing);
  }

  private named({ role, thumbprint }: Pick<KeyRecord, 'role' | 'thumbprint'>): KeyName {
    return { role, thumbprint, trustDomain: this.trustDomain };
  }
}
