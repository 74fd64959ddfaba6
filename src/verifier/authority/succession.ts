/**
 * Who signs now and who will next, in the name of the root: makes, names, rotates and drops role keys, each step one commit.
 * With the root key on this machine nobody is needed; without it, `request` says what is to be signed.
 */
import type { RolesPayload, RolesRequest } from '../../api/keys.ts';
import { sha256Base64url } from '../../core/encoding/jws.ts';
import { thumbprintOf } from '../../core/keys.ts';
import { type Roles, verifyRoles } from '../../core/trust/roles.ts';
import type { KeyEncryption } from '../../edge/keys/key-encryption.ts';
import type { SigningKey } from '../../edge/keys/signing-key.ts';
import type { Clock } from '../../ports.ts';
import { type Actor, SYSTEM } from '../actor.ts';
import { Edit, type EventBody, type Recorded, type Records } from '../records.ts';
import { Refusal } from '../refusal.ts';
import { type KeyRecord, type KeyRole, ROLES_NAME, type RolesRecord, rolesKind } from './key-records.ts';
import type { KeyRing } from './key-ring.ts';
import { namedBy, payloadOf, signRoles } from './roles-document.ts';
import { AuthorityError, readRolesInForce } from './roles-in-force.ts';
import { readRootKey } from './root-key.ts';
import {
  activeOf,
  afterNaming,
  drop,
  keyEvents,
  MOST_NAMED,
  ofRole,
  rolesInNeed,
  takeOver,
  toBeNamed,
} from './rotation.ts';
import { longestOf, type Timing } from './timing.ts';

export interface SuccessionParts {
  readonly trustDomain: string;
  /** Of the root key, if it is on this machine. */
  readonly rootFile: string;
  readonly encryption: KeyEncryption;
  readonly ring: KeyRing;
  readonly records: Records;
  readonly clock: Clock;
  readonly timing: Timing;
}

/** A rotation that somebody asks for. */
export interface RotationRequest {
  readonly role: KeyRole;
  /** Somebody else may have the key: it is dropped at once, and with it all that it signed. */
  readonly compromised?: boolean | undefined;
  /** With `compromised`: another key than the active one. */
  readonly thumbprint?: string | undefined;
}

interface Plan {
  readonly keys: readonly KeyRecord[];
  readonly actor: Actor;
  readonly why: string;
  /** Signed elsewhere, and verified. */
  readonly signed?: { readonly text: string; readonly roles: Roles };
  /** A new document, of this epoch at least. */
  readonly epoch?: number;
}

export class Succession {
  private readonly parts: SuccessionParts;
  private recorded: Recorded<RolesRecord> | undefined;
  private current: Roles | undefined;
  private last: Promise<unknown> = Promise.resolve();
  private readonly onChange: () => void;

  /** `onChange` hears of every document and every change of an active key. */
  constructor(parts: SuccessionParts, onChange: () => void) {
    this.parts = parts;
    this.onChange = onChange;
  }

  /** Takes the document in force from the store, and does what is due. */
  async open(): Promise<void> {
    const inForce = await readRolesInForce(this.parts.records, this.parts.trustDomain);
    this.recorded = inForce?.recorded;
    this.current = inForce?.roles;
    this.rootKey();
    await this.tick();
  }

  get roles(): Roles {
    if (this.current === undefined) throw new AuthorityError('the root has signed no roles yet');
    return this.current;
  }

  get rolesText(): string {
    return this.recorded?.value.text ?? '';
  }

  get rootThumbprint(): string {
    return thumbprintOf(this.roles.root);
  }

  /** The root key, while it is on this machine: read when it is needed, so that it can be taken away. */
  rootKey(): SigningKey | undefined {
    const { rootFile, trustDomain, encryption } = this.parts;
    const root = readRootKey(rootFile, trustDomain, encryption);
    if (root !== undefined && this.current !== undefined && root.x !== this.current.root)
      throw new AuthorityError(`${rootFile} is another root than the one that signed the roles in the store`);
    return root;
  }

  /** Whether the root, kept elsewhere, has something to sign. */
  get isRootAwaited(): boolean {
    return this.rootKey() === undefined && this.isDocumentDue(this.parts.ring.keys, this.now);
  }

  private get now(): number {
    return Math.floor(this.parts.clock.now() / 1000);
  }

  /** Does what the time has made due. */
  tick(): Promise<void> {
    return this.inOrder(async () => {
      const { ring, timing } = this.parts;
      const isFirst = this.current === undefined;
      let keys: readonly KeyRecord[] = ring.keys.map((key) => raised(key, timing));
      for (const role of rolesInNeed(keys, this.now, timing)) {
        // Where no key of the role is left, nobody is served by waiting.
        const atOnce = isFirst || activeOf(keys, role) === undefined;
        keys = [...keys, await ring.make(role, this.now, atOnce)];
      }
      await this.settle({ keys, actor: SYSTEM, why: isFirst ? 'first start' : '' });
    });
  }

  /** Throws `Refusal`: `api_conflict`, `api_not_found`. */
  rotate(request: RotationRequest, actor: Actor, why: string): Promise<void> {
    const { role, compromised = false, thumbprint } = request;
    return this.inOrder(async () => {
      const { ring } = this.parts;
      const same = ofRole(ring.keys, role);
      const waiting = same.find(({ state }) => state === 'next');
      if (!compromised) {
        if (waiting !== undefined)
          throw new Refusal('api_conflict', `${waiting.thumbprint} is next already, and waits for its time`);
        if (toBeNamed(same, this.now).length >= MOST_NAMED[role])
          throw new Refusal(
            'api_conflict',
            `the roles name as many keys of ${role} as they can; wait until one has retired`,
          );
        const next = await ring.make(role, this.now, false);
        return this.settle({ keys: [...ring.keys, next], actor, why });
      }
      const dropped = same.find((key) =>
        thumbprint === undefined ? key.state === 'active' : key.thumbprint === thumbprint,
      );
      if (dropped === undefined || dropped.state === 'gone')
        throw new Refusal('api_not_found', `no such key of ${role}, or it is gone already`);
      let keys = drop(ring.keys, dropped, this.now);
      if (dropped.state === 'active' && waiting === undefined)
        keys = [...keys, await ring.make(role, this.now, true)];
      return this.settle({ keys, actor, why });
    });
  }

  /**
   * Begins a new epoch above every one that a database lost since its backup can have begun: minutes since 1970, which no count
   * of rotations reaches. Throws `Refusal` `api_conflict` when the root is elsewhere.
   */
  beginEpoch(actor: Actor, why: string): Promise<void> {
    return this.inOrder(() => {
      if (this.rootKey() === undefined)
        throw new Refusal(
          'api_conflict',
          'the root key is not on this machine: root request --new-epoch, root sign, root install',
        );
      return this.settle({ keys: this.parts.ring.keys, actor, why, epoch: this.epochAboveAll() });
    });
  }

  /** What the root has to sign, wherever it is. */
  request({ newEpoch = false }: { readonly newEpoch?: boolean } = {}): RolesRequest {
    const epoch = newEpoch ? this.epochAboveAll() : this.roles.epoch + 1;
    return { v: 1, request: 'roles', payload: this.payload(this.parts.ring.keys, epoch, this.roles.root) };
  }

  /** Takes over roles that were signed elsewhere. Throws `Refusal`: as `verifyRoles` does, and `api_conflict`. */
  install(text: string, actor: Actor, why: string): Promise<void> {
    return this.inOrder(() => {
      const { trustDomain, ring } = this.parts;
      const verified = verifyRoles(text, { trustDomain, root: this.rootThumbprint, now: this.now });
      if (!verified.ok) throw new Refusal(verified.reason, verified.detail);
      const roles = verified.value;
      if (roles.epoch <= this.roles.epoch)
        throw new Refusal(
          'api_conflict',
          `these are the roles of epoch ${roles.epoch}; in force is ${this.roles.epoch}`,
        );
      const named = namedBy(roles);
      const known = toBeNamed(ring.keys, this.now);
      for (const [role, keys] of Object.entries(named) as [KeyRole, readonly string[]][]) {
        const ours = ofRole(ring.keys, role).filter(({ state }) => state !== 'gone');
        if (keys.some((key) => !ours.some((one) => one.public === key)))
          throw new Refusal(
            'api_conflict',
            `they name a ${role} key that is none of this verifier's, or was dropped; make a new request`,
          );
        if (ofRole(known, role).some((key) => key.state !== 'next' && !keys.includes(key.public)))
          throw new Refusal(
            'api_conflict',
            `they leave out a ${role} key that is relied on; make a new request`,
          );
      }
      return this.settle({ keys: ring.keys, actor, why, signed: { text, roles } });
    });
  }

  private epochAboveAll(): number {
    return Math.max((this.current?.epoch ?? 0) + 1, Math.floor(this.now / 60));
  }

  private payload(keys: readonly KeyRecord[], epoch: number, root: string): RolesPayload {
    const { trustDomain, timing } = this.parts;
    const now = this.now;
    return payloadOf(toBeNamed(keys, now), { trustDomain, root, epoch, iat: now, exp: now + timing.roles });
  }

  private isDocumentDue(keys: readonly KeyRecord[], now: number): boolean {
    if (this.current === undefined) return true;
    const named = new Set(Object.values(namedBy(this.current)).flat());
    const wanted = toBeNamed(keys, now);
    if (wanted.length !== named.size || wanted.some((key) => !named.has(key.public))) return true;
    return now >= this.current.iat + this.parts.timing.roles / 2;
  }

  /** Commits where the keys are to go, under a new document if one is due and the root is here. */
  private async settle({ keys: planned, actor, why, signed, epoch }: Plan): Promise<void> {
    const { ring, records, timing } = this.parts;
    const now = this.now;
    let keys = takeOver(planned, now, timing);
    let document = signed;
    const root = this.rootKey();
    if (
      document === undefined &&
      root !== undefined &&
      (epoch !== undefined || this.isDocumentDue(keys, now))
    )
      document = this.sign(keys, epoch ?? (this.current?.epoch ?? 0) + 1, root);
    const edit = new Edit();
    const events: EventBody[] = [];
    if (document !== undefined) {
      keys = takeOver(
        afterNaming(keys, new Set(Object.values(namedBy(document.roles)).flat()), now),
        now,
        timing,
      );
      const { epoch, iat, exp } = document.roles;
      edit.set(rolesKind, ROLES_NAME, { text: document.text, epoch, iat, exp }, this.recorded ?? null);
      const digest = sha256Base64url(document.text);
      events.push({ event: 'roles.installed', actor, why, data: { epoch, exp, digest } });
    }
    for (const { event, data } of keyEvents(ring.keys, keys)) events.push({ event, actor, why, data });
    ring.stage(edit, keys);
    if (edit.put.length === 0) return;
    const revision = await records.commit(events, edit);
    ring.adopt(keys, revision);
    if (document !== undefined) {
      const { text, roles } = document;
      const { epoch, iat, exp } = roles;
      this.recorded = { name: ROLES_NAME, value: { text, epoch, iat, exp }, revision };
      this.current = roles;
    }
    this.onChange();
  }

  private sign(keys: readonly KeyRecord[], epoch: number, root: SigningKey) {
    const text = signRoles(this.payload(keys, epoch, root.x), root);
    // What a sidecar would refuse must not become what is in force.
    const { trustDomain } = this.parts;
    const verified = verifyRoles(text, { trustDomain, root: root.thumbprint, now: this.now });
    if (!verified.ok) throw new AuthorityError(`the roles do not verify: ${verified.detail}`);
    return { text, roles: verified.value };
  }

  /** One after the other: each step rests on what the last one committed. */
  private inOrder<T>(work: () => Promise<T>): Promise<T> {
    const result = this.last.then(work, work);
    this.last = result.catch(() => undefined);
    return result;
  }
}

/** A longer life than when the key was made is known before anything is signed for it. */
const raised = (key: KeyRecord, timing: Timing): KeyRecord => {
  const longestSeconds = longestOf(key.role, timing);
  const signs = key.state === 'next' || key.state === 'active';
  return signs && key.longestSeconds < longestSeconds ? { ...key, longestSeconds } : key;
};
