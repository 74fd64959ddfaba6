/** The role keys as they are kept, but for the root. */
import { z } from 'zod';
import { KEY_ROLE } from '../../api/keys.ts';
import { kind } from '../records.ts';

/** What a key may sign, in the order of the README. */
export const KEY_ROLES = KEY_ROLE.options;
export type KeyRole = (typeof KEY_ROLES)[number];
/** Those whose key is Ed25519; the CA's is P-256 and known by its certificate. */
export type SigningRole = Exclude<KeyRole, 'svid-ca'>;

/**
 * `next`: made, and not used before sidecars have heard of it. `active`: signs. `retiring`: signs no more, is believed
 * until what it signed has ended. `gone`: not believed.
 */
export const KEY_STATES = ['next', 'active', 'retiring', 'gone'] as const;
export type KeyState = (typeof KEY_STATES)[number];

const seconds = z.int().min(0);

export const keyRecord = z.strictObject({
  role: KEY_ROLE,
  /** RFC 7638 of an Ed25519 key; base64url SHA-256 of a certificate. */
  thumbprint: z.string(),
  state: z.enum(KEY_STATES),
  /** Public half: base64url of 32 octets, or of a DER certificate. */
  public: z.string(),
  /** Private half in PKCS#8, sealed; taken away as soon as it signs no more. */
  sealed: z.string().nullable(),
  /** What it signs ends at most so many seconds later. */
  longestSeconds: seconds,
  /** Takes over as soon as the root names it: nobody relies on the one before, or must. */
  atOnce: z.boolean(),
  madeAt: seconds,
  /** When the root first named it. */
  namedAt: seconds.nullable(),
  activeAt: seconds.nullable(),
  retiredAt: seconds.nullable(),
  /** When what it signed has ended. */
  until: seconds.nullable(),
});
export type KeyRecord = z.output<typeof keyRecord>;

export const keyKind = kind('key', keyRecord);
export const keyNameOf = ({ role, thumbprint }: Pick<KeyRecord, 'role' | 'thumbprint'>): string =>
  `${role}/${thumbprint}`;

/** The roles document in force. */
export const rolesKind = kind(
  'roles',
  z.strictObject({
    text: z.string(),
    epoch: z.int().min(1),
    iat: seconds,
    exp: seconds,
  }),
);
export type RolesRecord = z.output<typeof rolesKind.schema>;
/** There is one. */
export const ROLES_NAME = 'current';
