/**
 * The life of role keys as a function of the time: next → active → retiring → gone. At every moment the root names each key
 * under which something unexpired may be signed, and none is used before it has been named for the overlap.
 */
import { CLOCK_SKEW_SECONDS } from '../../core/limits.ts';
import { KEY_ROLES, type KeyRecord, type KeyRole } from './key-records.ts';
import type { Timing } from './timing.ts';

/** How many keys of a role a roles document can name (SPEC.md section 9). */
export const MOST_NAMED: Readonly<Record<KeyRole, number>> = {
  'svid-ca': 8,
  'wit-issuer': 8,
  'root-issuer': 4,
  policy: 4,
  timestamp: 4,
};

/** What readers allow for clocks, and a minute for what was being signed when a key retired. */
const MARGIN_SECONDS = CLOCK_SKEW_SECONDS + 60;

export const ofRole = (keys: readonly KeyRecord[], role: KeyRole): readonly KeyRecord[] =>
  keys.filter((key) => key.role === role);

export const activeOf = (keys: readonly KeyRecord[], role: KeyRole): KeyRecord | undefined =>
  keys.find((key) => key.role === role && key.state === 'active');

/** What the next roles document names: every key that signs, will, or did and is still relied on. */
export const toBeNamed = (keys: readonly KeyRecord[], now: number): readonly KeyRecord[] =>
  keys.filter(({ state, until }) => state !== 'gone' && (state !== 'retiring' || now < (until ?? 0)));

/** Roles whose active key is old enough for a successor, or that have none at all, and room to name one. */
export const rolesInNeed = (keys: readonly KeyRecord[], now: number, timing: Timing): readonly KeyRole[] =>
  KEY_ROLES.filter((role) => {
    const same = ofRole(keys, role);
    if (same.some(({ state }) => state === 'next')) return false;
    const active = activeOf(keys, role);
    if (active === undefined) return true;
    const isOld = now >= (active.activeAt ?? 0) + timing.rotateAfter[role];
    return isOld && toBeNamed(same, now).length < MOST_NAMED[role];
  });

const retire = (key: KeyRecord, now: number): KeyRecord => ({
  ...key,
  state: 'retiring',
  sealed: null,
  retiredAt: now,
  until: now + key.longestSeconds + MARGIN_SECONDS,
});

/** When a next key may take over; `undefined` while the root hasn't named it. */
export const takesOverAt = (key: KeyRecord, timing: Timing): number | undefined => {
  if (key.state !== 'next' || key.namedAt === null) return undefined;
  return key.atOnce ? key.namedAt : key.namedAt + timing.overlap;
};

/** Lets those next keys take over whose overlap has passed. */
export const takeOver = (keys: readonly KeyRecord[], now: number, timing: Timing): readonly KeyRecord[] => {
  const ready = new Set<KeyRecord>();
  for (const key of keys) {
    const at = takesOverAt(key, timing);
    if (at !== undefined && now >= at) ready.add(key);
  }
  const roles = new Set([...ready].map(({ role }) => role));
  return keys.map((key) => {
    if (ready.has(key)) return { ...key, state: 'active', activeAt: now };
    return key.state === 'active' && roles.has(key.role) ? retire(key, now) : key;
  });
};

/** What a roles document that is now in force makes of the keys: those it names are known, retired ones that it doesn't are gone. */
export const afterNaming = (
  keys: readonly KeyRecord[],
  named: ReadonlySet<string>,
  now: number,
): readonly KeyRecord[] =>
  keys.map((key) => {
    if (named.has(key.public)) return key.namedAt === null ? { ...key, namedAt: now } : key;
    return key.state === 'retiring' ? { ...key, state: 'gone' } : key;
  });

/** Drops a key that somebody else may have; its successor, if one is waiting, needn't wait any longer. */
export const drop = (keys: readonly KeyRecord[], dropped: KeyRecord, now: number): readonly KeyRecord[] =>
  keys.map((key) => {
    if (key === dropped) return { ...key, state: 'gone', sealed: null, retiredAt: now, until: now };
    const follows = dropped.state === 'active' && key.role === dropped.role && key.state === 'next';
    return follows ? { ...key, atOnce: true } : key;
  });

const EVENT_OF = {
  next: 'key.made',
  active: 'key.activated',
  retiring: 'key.retired',
  gone: 'key.gone',
} as const;

/** What the ledger says of a change: one event for each key that is in another state than before, or was named. */
export const keyEvents = (
  before: readonly KeyRecord[],
  after: readonly KeyRecord[],
): readonly {
  readonly event: (typeof EVENT_OF)[keyof typeof EVENT_OF] | 'key.changed';
  readonly data: Readonly<Record<string, unknown>>;
}[] =>
  after.flatMap((key) => {
    const was = before.find(({ role, thumbprint }) => role === key.role && thumbprint === key.thumbprint);
    if (was === key) return [];
    const { role, thumbprint, state, namedAt, until } = key;
    const event = was?.state === state ? 'key.changed' : EVENT_OF[state];
    return [{ event, data: { role, thumbprint, state, namedAt, until } }];
  });
