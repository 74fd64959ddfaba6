/** What the operator sees of a running sidecar: nothing in it is a secret. */
import type { Quarantine } from '../edge/store/quarantine.ts';
import type { ConfigState } from './config-in-force.ts';
import { nowSeconds, type Parts } from './parts.ts';
import type { Source } from './source.ts';

export interface AdminState {
  readonly peers: () => Readonly<Record<'inbound' | 'outbound', unknown>>;
  readonly source: Source;
  readonly configuration: () => ConfigState;
  /** `hurried`: nobody comes any more, and no time is left for others to notice. */
  readonly drain: (reason: string, hurried: boolean) => void;
  /** Why the sidecar is not ready, a sentence each. */
  readonly faults: () => Promise<readonly string[]>;
  /** Undefined where the configuration has none. */
  readonly quarantine?: Quarantine | undefined;
}

export const certificatesOf = (parts: Parts, { source }: AdminState): object => {
  const own = parts.identities.newest;
  const { known } = parts.trust;
  const current = parts.trust.current();
  return {
    id: own?.id,
    svid: own && { expires: own.svidNotAfter },
    wit: own && { expires: own.witExp },
    keyBinding: own && { expires: own.kb.exp },
    agentKey: own?.key.thumbprint,
    bundle: known && {
      order: known.bundleName,
      expires: known.bundle.exp,
      freshAt: known.freshAt,
      ...(Number.isFinite(known.maxStalenessSeconds) && {
        staleAt: known.freshAt + known.maxStalenessSeconds,
      }),
    },
    policy: known && { revision: known.policy.policy.revision, digest: known.bundle.policyDigest },
    ...(!current.ok && { fault: { reason: current.reason, detail: current.detail } }),
    verifier: source.state ?? null,
    now: nowSeconds(parts),
  };
};

/** Signed URLs carry their secret there. */
const QUERY = /^(https?:\/\/[^?]*\?).+$/;
const withoutQuery = (_key: string, value: unknown): unknown =>
  typeof value === 'string' ? value.replace(QUERY, '$1…') : value;

/** Configuration names files and holds no secret, but for the query of a URL: a test looks at every form that text in it can have. */
export const configurationOf = ({ config }: Parts, { configuration }: AdminState): object => ({
  ...configuration(),
  inForce: JSON.parse(JSON.stringify(config, withoutQuery)) as unknown,
});

/** For `hopgate status`. */
export const statusOf = async (parts: Parts, state: AdminState): Promise<object> => {
  const { config, path, trust, log } = parts;
  const { known } = trust;
  return {
    ...certificatesOf(parts, state),
    policy: known?.policy.policy.revision,
    fresh: known && { at: known.freshAt, until: known.freshAt + known.maxStalenessSeconds },
    faults: await state.faults(),
    configuration: state.configuration(),
    logLevel: log.level,
    ...state.peers(),
    live: path.live.size,
    proxied: config.outbound !== undefined,
  };
};
