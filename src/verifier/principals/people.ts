/** This room, put together. */
import { roleKeys } from '../../core/trust/roles.ts';
import type { Clock } from '../../ports.ts';
import type { Authority } from '../authority/authority.ts';
import type { AnchorEntry, ApproverEntry, AttributesEntry } from '../publication/entries.ts';
import type { Source } from '../publication/sources.ts';
import type { Records } from '../records.ts';
import { agentTypesOf, peopleSources } from './anchors.ts';
import { attributesSource } from './attributes.ts';
import { FirstLinks } from './first-links.ts';
import { Logins } from './logins.ts';
import { OidcIssuers } from './oidc-issuers.ts';
import { type GrantRevoking, Principals } from './principals.ts';
import { Sessions } from './sessions.ts';
import { type TaskRevoking, Tasks } from './tasks.ts';
import { type PolicyWords, PresentTrust } from './trust.ts';

export interface PeopleParts {
  readonly records: Records;
  readonly clock: Clock;
  readonly authority: Pick<
    Authority,
    'trustDomain' | 'signer' | 'rootIssuers' | 'roles' | 'keys' | 'svid' | 'tokens'
  >;
  readonly policy: PolicyWords;
  readonly revoking: TaskRevoking & GrantRevoking;
  /** Resolves when a bundle that carries all up to this commit is out. */
  readonly whenPublished: (revision: number) => Promise<void>;
}

export interface People {
  readonly principals: Principals;
  readonly issuers: OidcIssuers;
  readonly sessions: Sessions;
  readonly logins: Logins;
  readonly tasks: Tasks;
  readonly sources: {
    readonly anchors: Source<readonly AnchorEntry[]>;
    readonly approvers: Source<readonly ApproverEntry[]>;
    readonly attributes: Source<AttributesEntry | undefined>;
  };
}

export const openPeople = ({
  records,
  clock,
  authority,
  policy,
  revoking,
  whenPublished,
}: PeopleParts): People => {
  const { trustDomain } = authority;
  const keys = {
    trustDomain,
    rootIssuer: () => authority.signer('root-issuer'),
    rootIssuers: () => authority.rootIssuers(),
    roleKeys: () => roleKeys(authority.roles),
    issuers: () => authority.roles.issuers,
    agentTypes: () => agentTypesOf(records),
  };
  const isRoleKey = (x: string): boolean =>
    // Of those too that the root has yet to name, or not to name any more.
    x === authority.roles.root || authority.keys().some((key) => key.public === x);
  const issuers = new OidcIssuers(records, clock);
  const sessions = new Sessions(records, clock, issuers);
  const trust = new PresentTrust(records, keys, policy);
  const links = new FirstLinks(issuers, keys, trust);
  const tasks = new Tasks({ records, clock, trustDomain, trust, links, sessions, revoking });
  return {
    principals: new Principals({
      records,
      clock,
      trustDomain,
      policy,
      isRoleKey,
      revoking,
      whenPublished,
    }),
    issuers,
    sessions,
    logins: new Logins({
      records,
      clock,
      issuing: authority,
      issuers,
      sessions,
      links,
      tasks,
      whenPublished,
    }),
    tasks,
    sources: { ...peopleSources(records, keys), attributes: attributesSource(records) },
  };
};
