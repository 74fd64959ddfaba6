/** The cast of the vectors: domains, issuers, anchors, agents; and links, WITs and bundles of theirs. */
import { NOW } from './case.ts';
import {
  b64u,
  type Claims,
  headerOf,
  idOf,
  jcs,
  jti,
  jws,
  type Key,
  key,
  rawJws,
  sha256,
} from './signing.ts';

export const DOMAIN = 'company.com';
export const PARTNER = 'partner.com';
export const PRINCIPAL = 'mailto:alice@company.com';

export interface Agent {
  readonly id: string;
  readonly key: Key;
}

export const agent = (path: string, domain = DOMAIN): Agent => ({
  id: `spiffe://${domain}/${path}`,
  key: key(`agent ${domain}/${path}`),
});
/** The same agent after a key rotation. */
export const rotated = (of: Agent, keyOf = key(`${of.key.name} rotated`)): Agent => ({
  id: of.id,
  key: keyOf,
});

export const CLIENT = agent('client/alice');
export const PLANNER = agent('agent/planner/p1');
export const INVENTORY = agent('agent/inventory/i1');
export const SECURITY = agent('agent/security/s1');
export const REPORT = agent('agent/report/r1');
export const BILLING = agent('agent/billing/b1');
export const AUDITOR = agent('agent/auditor/a1', PARTNER);
/** Alice's session first, then agent by agent. */
export const LINE = [CLIENT, PLANNER, INVENTORY, SECURITY, REPORT, BILLING] as const;

export const ISSUER = key('issuer company.com');
export const PARTNER_ISSUER = key('issuer partner.com');
export const ALICE = key('principal alice');
export const ROOT_ISSUER = key('root issuer company.com');
export const ROBOT = key('principal cron');
export const ROOT = key('root company.com');
export const POLICY = key('policy company.com');
export const TIMESTAMP = key('timestamp company.com');
/** Approves, and is neither Alice nor anybody's anchor. */
export const CAROL = key('approver carol');
export const APPROVER = { principal: 'mailto:carol@company.com', jwk: CAROL.jwk };

export const issuersOf = (...partner: readonly Key[]) => ({
  [DOMAIN]: [ISSUER.jwk],
  [PARTNER]: [PARTNER_ISSUER, ...partner].map((issuer) => issuer.jwk),
});

export const CERTIFICATE = b64u('not a certificate, only octets');
/** Those of others; ours stand in the roles. */
export const DOMAINS = {
  [PARTNER]: { x509: [b64u('octets of the partner')], issuers: [PARTNER_ISSUER.jwk] },
};

export const ANCHOR = {
  kind: 'principal',
  jwk: ALICE.jwk,
  principals: [PRINCIPAL],
  human: true,
  delegatees: ['spiffe://company.com/client/*', 'spiffe://company.com/agent/planner/*'],
  domains: [DOMAIN, PARTNER],
  scope: ['cloud:*', 'ec2:Describe*'],
  max_ttl: 14_400,
  max_depth: 8,
};
export const ROOT_ANCHOR = { ...ANCHOR, kind: 'root-issuer', jwk: ROOT_ISSUER.jwk, principals: ['*'] };
export const ROBOT_ANCHOR = {
  ...ANCHOR,
  jwk: ROBOT.jwk,
  principals: ['https://company.com/cron'],
  human: false,
};
export const ANCHORS = [ANCHOR, ROOT_ANCHOR, ROBOT_ANCHOR];

const drop = (claims: Claims): Claims =>
  Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined));

const bindingPayload = (of: Agent, exp: number): string => jcs({ exp, jkt: of.key.jkt, sub: of.id });
const issuerOf = (of: Agent): Key => (of.id.startsWith(`spiffe://${PARTNER}/`) ? PARTNER_ISSUER : ISSUER);

/** The signing input of a key binding. */
export const bindingInput = (of: Agent, exp: number, kid: string): string =>
  `${b64u(headerOf('kb+jwt', kid))}.${b64u(bindingPayload(of, exp))}`;

/** What a link carries of a key binding. */
export const bind = (of: Agent, exp = NOW + 7200, by = issuerOf(of), kid = by.jkt): Claims => ({
  exp,
  kid,
  sig: b64u(by.sign(Buffer.from(bindingInput(of, exp, kid)))),
});

const bothClaims = (to: Agent, index: number): Claims => ({
  act: { sub: to.id },
  cnf: { jwk: to.key.jwk },
  aud: [DOMAIN],
  jti: jti(`link ${index} ${to.id}`),
  iat: NOW - 60,
  exp: NOW + 3600,
  scope: ['cloud:read', 'ec2:Describe*'],
  max_depth: 5,
});

export const urn = (of: Key): string => `urn:ietf:params:oauth:jwk-thumbprint:sha-256:${of.jkt}`;

export const rootClaims = (to: Agent, edit: Claims = {}): Claims =>
  drop({ iss: urn(ALICE), sub: PRINCIPAL, ...bothClaims(to, 0), ...edit });

export const childClaims = (parent: string, by: Agent, to: Agent, index: number, edit: Claims = {}): Claims =>
  drop({ par_hash: idOf(parent), kb: bind(by), ...bothClaims(to, index), ...edit });

export interface ChainPlan {
  /** Delegatees from L0 on. */
  readonly agents: readonly Agent[];
  /** Members of link `index` that differ; `undefined` leaves one out. */
  readonly edit?: Readonly<Record<number, Claims>>;
  /** Members of every link that differ. */
  readonly all?: Claims;
  /** Who signs link `index`, if not whom the chain says. */
  readonly signer?: Readonly<Record<number, Key>>;
  /** Signs L0. */
  readonly anchor?: Key;
}

/** The links of a chain, each a child of the one before, with the faults of its plan. */
export const makeChain = ({
  agents,
  edit = {},
  all = {},
  signer = {},
  anchor = ALICE,
}: ChainPlan): string[] => {
  const links: string[] = [];
  for (const [index, to] of agents.entries()) {
    const parent = links.at(-1);
    const by = agents[index - 1];
    const changes = { ...all, ...edit[index] };
    const claims =
      parent === undefined || by === undefined
        ? rootClaims(to, { iss: urn(anchor), ...changes })
        : childClaims(parent, by, to, index, changes);
    links.push(jws('dlink+jwt', claims, signer[index] ?? (by === undefined ? anchor : by.key)));
  }
  return links;
};

export const wit = (of: Agent, edit: Claims = {}, by = issuerOf(of), kid = by.jkt): string =>
  jws('wit+jwt', drop({ ...witClaims(of), ...edit }), by, kid);

export const auditKeyOf = (of: Agent): Key => key(`audit ${of.key.name}`);

export const witClaims = (of: Agent): Claims => ({
  iss: `spiffe://${of.id.split('/')[2]}`,
  sub: of.id,
  iat: NOW - 600,
  exp: NOW + 3000,
  jti: jti(`wit ${of.id}`),
  cnf: { jwk: of.key.jwk },
  audit_jwk: auditKeyOf(of).jwk,
});

export const roles = (edit: Claims = {}, by = ROOT, kid = by.jkt): string =>
  jws(
    'roles+jwt',
    drop({
      trust_domain: DOMAIN,
      epoch: 2,
      iat: NOW - 600,
      exp: NOW + 86_400,
      root: ROOT.jwk,
      policy: [POLICY.jwk],
      timestamp: [TIMESTAMP.jwk],
      issuers: [ISSUER.jwk],
      root_issuers: [ROOT_ISSUER.jwk],
      x509: [CERTIFICATE],
      ...edit,
    }),
    by,
    kid,
  );

export const bundle = (edit: Claims = {}, by = POLICY, kid = by.jkt): string =>
  rawJws(headerOf('bundle+jwt', kid), JSON.stringify(bundleClaims(edit)), by);

export const bundleClaims = (edit: Claims = {}): Claims =>
  drop({
    trust_domain: DOMAIN,
    epoch: 2,
    seq: 7,
    iat: NOW - 10,
    exp: NOW + 900,
    roles: roles(),
    domains: DOMAINS,
    anchors: ANCHORS,
    revoked: [],
    ...edit,
  });

/** A timestamp over a bundle. */
export const timestamp = (over: string, edit: Claims = {}, by = TIMESTAMP, kid = by.jkt): string =>
  jws(
    'timestamp+jwt',
    drop({
      trust_domain: DOMAIN,
      epoch: 2,
      seq: 7,
      digest: b64u(sha256(over)),
      iat: NOW - 5,
      exp: NOW + 295,
      ...edit,
    }),
    by,
    kid,
  );

/** Carol's word that the planner may be given a scope by Alice's session. */
export const linkApproval = (edit: Claims = {}, by = CAROL, kid = by.jkt): string =>
  jws(
    'link-approval+jwt',
    drop({
      approver: APPROVER.principal,
      principal: PRINCIPAL,
      delegatee: PLANNER.id,
      parent: ALICE.jkt,
      scope: ['cloud:read', 'ec2:Describe*'],
      iat: NOW - 30,
      exp: NOW + 600,
      jti: jti('link approval'),
      ...edit,
    }),
    by,
    kid,
  );
