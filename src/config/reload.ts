/** What of a sidecar's configuration changes while it runs, and what only a restart can change. */
import type { Path } from './fault.ts';

/**
 * Each with everything below it. Whatever is not named here needs a restart: who adds a section says so here once something
 * follows it.
 */
export const LIVE_FIELDS: readonly string[] = [
  'log.level',
  'inbound.withoutSidecar',
  'outbound.routes',
  'outbound.egress',
  'decisionPoints',
  'audit.checkpointRecords',
  'audit.checkpointInterval',
  'audit.refusalInterval',
  'audit.refusalSources',
  'audit.denialsPerCaller',
  'limits.connections',
  'limits.connectionsPerCaller',
  'limits.requests',
  'limits.requestsPerCaller',
  'limits.requestsPerSecond',
  'limits.taskRequestsPerSecond',
  'limits.readBytesPerSecond',
  'limits.handshakes',
  'limits.handshakesPerSource',
  'limits.handshakesPerSecond',
  'limits.handshakeTimeout',
  'limits.headersTimeout',
  'limits.idleTimeout',
  'limits.streams',
  'limits.bodyTimeout',
  'limits.responseTimeout',
  'limits.bodyBytes',
  'limits.heldBytesInTotal',
  'limits.approvalBodyBytes',
  'limits.signedBodyBytes',
  'limits.agentFailures',
  'limits.agentCoolDown',
  'limits.tunnels',
  'limits.tunnelIdle',
  'limits.peerConnections',
  'limits.contextIdle',
  'limits.mcpSessionIdle',
  'limits.drainTimeout',
  'limits.drainNotice',
];

const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Whether two values that came from YAML say the same; the order of keys says nothing. */
export const isSame = (a: unknown, b: unknown): boolean => {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((item, at) => isSame(item, b[at]));
  if (!isMap(a) || !isMap(b)) return false;
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].every((key) => isSame(a[key], b[key]));
};

/** One value of the file, whatever it was read into. */
const isAddress = (value: object): boolean =>
  ('host' in value && 'port' in value) || (Object.keys(value).length === 1 && 'path' in value);

/** The deepest fields in which two configurations differ; a list counts as one, and so does an address. */
export const changedFields = (before: unknown, after: unknown, path: readonly string[] = []): string[][] => {
  if (isSame(before, after)) return [];
  if (!isMap(before) || !isMap(after) || isAddress(before) || isAddress(after)) return [[...path]];
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((key) =>
    changedFields(before[key], after[key], [...path, key]),
  );
};

export const isLive = (path: Path): boolean => {
  const field = path.join('.');
  return LIVE_FIELDS.some((live) => field === live || field.startsWith(`${live}.`));
};

/** `after`, in which every part that says the same as before is the very object that it was: what follows it sees what changed. */
export const keepSame = <T>(before: unknown, after: T): T => {
  if (isSame(before, after)) return before as T;
  if (Array.isArray(after) && Array.isArray(before))
    return after.map((item) => before.find((old) => isSame(old, item)) ?? item) as T;
  if (!isMap(after) || !isMap(before)) return after;
  return Object.fromEntries(
    Object.entries(after).map(([key, value]) => [key, keepSame(before[key], value)]),
  ) as T;
};
