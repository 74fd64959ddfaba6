/** The authority of a trust domain: issues SVIDs and tokens, lends its role keys to those who sign, and renews itself. */
import type { RolesRequest } from '../../api/keys.ts';
import type { Roles } from '../../core/trust/roles.ts';
import { KeyEncryption } from '../../edge/keys/key-encryption.ts';
import { privateKeyPem, type SigningKey } from '../../edge/keys/signing-key.ts';
import type { Clock } from '../../ports.ts';
import { type Actor, SYSTEM } from '../actor.ts';
import { Edit, type Records } from '../records.ts';
import { Refusal } from '../refusal.ts';
import {
  issueSvid,
  issueVerifierCertificate,
  makeTlsKey,
  type SvidCa,
  verifierIdOf,
} from './certificates.ts';
import type { Issuing, SvidRequest, TokensRequest } from './issuing.ts';
import { KEY_ROLES, type KeyRecord, type SigningRole } from './key-records.ts';
import { KeyRing } from './key-ring.ts';
import { readRolesInForce } from './roles-in-force.ts';
import { keyFilesIn, makeRootKey, readRootKey } from './root-key.ts';
import { ofRole } from './rotation.ts';
import { type RotationRequest, Succession } from './succession.ts';
import { DEFAULT_TIMING, type Timing } from './timing.ts';
import { issueTokens } from './tokens.ts';

export interface AuthorityOptions {
  readonly trustDomain: string;
  /** Folder of `kek` and `root.key`, of mode 0700; it exists. */
  readonly directory: string;
  readonly passphraseFile?: string | undefined;
  readonly records: Records;
  readonly clock: Clock;
  readonly timing?: Timing | undefined;
}

/** The verifier's own TLS identity: `spiffe://<trust domain>/verifier`. */
export interface ServerIdentity {
  readonly certPem: string;
  readonly keyPem: string;
  /** Seconds. */
  readonly notAfter: number;
}

interface Server {
  readonly identity: ServerIdentity;
  readonly ca: SvidCa;
  /** Seconds. */
  readonly renewAt: number;
}

export class Authority implements Issuing {
  readonly trustDomain: string;
  readonly timing: Timing;
  private readonly records: Records;
  private readonly clock: Clock;
  private readonly ring: KeyRing;
  private readonly succession: Succession;
  private readonly listeners = new Set<() => void>();
  private server: Promise<Server> | undefined;

  private constructor(options: AuthorityOptions, encryption: KeyEncryption, ring: KeyRing) {
    const { trustDomain, directory, records, clock, timing = DEFAULT_TIMING } = options;
    this.trustDomain = trustDomain;
    this.timing = timing;
    this.records = records;
    this.clock = clock;
    this.ring = ring;
    const rootFile = keyFilesIn(directory).root;
    this.succession = new Succession(
      { trustDomain, rootFile, encryption, ring, records, clock, timing },
      () => {
        for (const listener of this.listeners) listener();
      },
    );
  }

  /**
   * Opens the keys; at the first start it makes all of them, and epoch 1. Throws `AuthorityError` and
   * `KeyEncryptionError` for what an operator can put right.
   */
  static async open(options: AuthorityOptions): Promise<Authority> {
    const { trustDomain, directory, passphraseFile, records, timing = DEFAULT_TIMING } = options;
    const files = keyFilesIn(directory);
    const encryption = await KeyEncryption.open({ file: files.kek, passphraseFile });
    const isFirst = (await readRolesInForce(records, trustDomain)) === undefined;
    // A first start that was cut short has left a root key, which somebody may have noted already.
    if (isFirst && readRootKey(files.root, trustDomain, encryption) === undefined)
      makeRootKey(files.root, trustDomain, encryption);
    const ring = await KeyRing.open(trustDomain, records, encryption, timing);
    const authority = new Authority(options, encryption, ring);
    await authority.succession.open();
    return authority;
  }

  /** What a sidecar is configured with, and a join string carries. */
  get rootThumbprint(): string {
    return this.succession.rootThumbprint;
  }

  /** Whether the root key is on this machine. */
  get isRootHere(): boolean {
    return this.succession.rootKey() !== undefined;
  }

  /** Whether something waits for a root that is elsewhere. */
  get isRootAwaited(): boolean {
    return this.succession.isRootAwaited;
  }

  get epoch(): number {
    return this.succession.roles.epoch;
  }

  /** What the root says now. */
  get roles(): Roles {
    return this.succession.roles;
  }

  /** The roles document in force, a JWS. */
  rolesText(): string {
    return this.succession.rolesText;
  }

  /** Every key that is or was, for people; private halves are in none of them. */
  keys(): readonly Omit<KeyRecord, 'sealed'>[] {
    return KEY_ROLES.flatMap((role) =>
      ofRole(this.ring.keys, role).toSorted((a, b) => a.madeAt - b.madeAt),
    ).map(({ sealed: _, ...key }) => key);
  }

  /** CA certificates (DER) under which this verifier takes a client's SVID. */
  authorities(): readonly Buffer[] {
    return this.ring.keys
      .filter(({ role, state }) => role === 'svid-ca' && state !== 'gone')
      .map((key) => Buffer.from(key.public, 'base64url'));
  }

  /** CA certificates (DER) that were dropped before what they signed had ended: under one of them an SVID is good for its own renewal alone. */
  droppedAuthorities(): readonly Buffer[] {
    return this.ring.keys
      .filter(
        ({ role, state, retiredAt, longestSeconds }) =>
          role === 'svid-ca' && state === 'gone' && this.now < (retiredAt ?? 0) + longestSeconds,
      )
      .map((key) => Buffer.from(key.public, 'base64url'));
  }

  /** Public halves (base64url) that may have signed an L0: what an anchor is to name. */
  rootIssuers(): readonly string[] {
    return this.succession.roles.rootIssuers;
  }

  /** The key that signs for a role now; ask anew each time. Throws `Refusal` `api_unavailable` when there is none. */
  signer(role: SigningRole): SigningKey {
    return this.ring.signer(role) ?? unavailable(role);
  }

  async svid({
    id,
    key,
    ttlSeconds,
  }: SvidRequest): Promise<{ readonly pem: string; readonly notAfter: number }> {
    const ca = this.ring.ca() ?? unavailable('svid-ca');
    return issueSvid(ca, { id, key, now: this.now, ttlSeconds: Math.min(ttlSeconds, this.timing.svid) });
  }

  tokens(request: TokensRequest): ReturnType<typeof issueTokens> {
    if (!request.id.startsWith(`spiffe://${this.trustDomain}/`))
      throw new RangeError(`${request.id} is not of the trust domain ${this.trustDomain}`);
    if (request.exp > this.now + this.timing.svid)
      throw new RangeError(
        `tokens end within ${this.timing.svid} seconds; the WIT issuer is believed no longer`,
      );
    return issueTokens(this.signer('wit-issuer'), { ...request, now: this.now });
  }

  /** The verifier's own certificate, renewed at half-life and with the CA. */
  async serverIdentity(): Promise<ServerIdentity> {
    const known = await this.server?.catch(() => undefined);
    if (known !== undefined && this.now < known.renewAt && known.ca === this.ring.ca()) return known.identity;
    this.server = this.renewServer();
    return (await this.server).identity;
  }

  private async renewServer(): Promise<Server> {
    const ca = this.ring.ca() ?? unavailable('svid-ca');
    const key = makeTlsKey();
    const now = this.now;
    const { pem, notAfter } = await issueVerifierCertificate(ca, {
      key,
      now,
      ttlSeconds: this.timing.server,
    });
    const data = { id: verifierIdOf(this.trustDomain), notAfter };
    await this.records.commit({ event: 'svid.issued', actor: SYSTEM, why: '', data }, new Edit());
    const identity = { certPem: pem, keyPem: privateKeyPem(key), notAfter };
    return { identity, ca, renewAt: now + Math.floor((notAfter - now) / 2) };
  }

  /** Hears of new roles and of every change of keys. Returns a stop. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Does what the time has made due: called every few seconds. */
  tick(): Promise<void> {
    return this.succession.tick();
  }

  /** Throws `Refusal`: `api_conflict`, `api_not_found`. */
  rotate(request: RotationRequest, actor: Actor, why: string): Promise<void> {
    return this.succession.rotate(request, actor, why);
  }

  /** For after a restored backup. Throws `Refusal` `api_conflict` when the root is elsewhere. */
  beginEpoch(actor: Actor, why: string): Promise<void> {
    return this.succession.beginEpoch(actor, why);
  }

  /** What a root that is elsewhere has to sign. */
  request(options?: { readonly newEpoch?: boolean }): RolesRequest {
    return this.succession.request(options);
  }

  /** Takes over what was signed there. Throws `Refusal`. */
  install(text: string, actor: Actor, why: string): Promise<void> {
    return this.succession.install(text, actor, why);
  }

  private get now(): number {
    return Math.floor(this.clock.now() / 1000);
  }
}

const unavailable = (role: string): never => {
  throw new Refusal(
    'api_unavailable',
    `no ${role} key is active; if the root key is elsewhere: root request, root sign, root install`,
  );
};
