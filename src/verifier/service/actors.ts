/** Who speaks to us: a connection's certificate becomes an actor with its roles, anew on every request. */

import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Access } from '../../api/endpoint.ts';
import { type AgentId, parseAgentId, trustDomainOf } from '../../core/spiffe-id.ts';
import { type Denial, deny, grant, type Verdict } from '../../core/verdict.ts';
import { parsePeerCertificate } from '../../edge/tls/peer-certificate.ts';
import type { Clock, PeerCertificate } from '../../ports.ts';
import type { Actor } from '../actor.ts';
import { BACKDATED_SECONDS } from '../authority/certificates.ts';
import type { RoleBindings } from './role-bindings.ts';
import type { Standing } from './standing.ts';

const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

/** As `hop/identify.ts` does for a peer, but our own trust domain alone is known here. Refuses with `svid_*`. */
export const identifyMember = (
  certificate: PeerCertificate,
  trustDomain: string,
  authorities: readonly Buffer[],
  nowSeconds: number,
): Verdict<AgentId> => {
  const { uriSans, keyUsage, extKeyUsage, notBefore, notAfter } = certificate;
  if (nowSeconds < notBefore || nowSeconds >= notAfter)
    return deny(
      'svid_expired',
      `the SVID is valid from ${notBefore} to ${notAfter}, the verifier’s clock says ${nowSeconds}`,
    );
  if (uriSans.length !== 1) return deny('svid_uri_san', `the SVID has ${uriSans.length} URI SANs, not one`);
  const id = parseAgentId(uriSans[0] ?? '');
  if (id === undefined) return deny('svid_id', 'the URI SAN of the SVID is not the ID of an agent or client');
  if (trustDomainOf(id) !== trustDomain)
    return deny('svid_trust_domain', `the SVID is of another trust domain than ${trustDomain}`);
  if (!certificate.chainsTo(authorities))
    return deny('svid_untrusted', `the SVID is by no SVID CA of ${trustDomain}`);
  if (certificate.isCa) return deny('svid_is_ca', 'the SVID is a CA certificate');
  if (keyUsage === undefined || !keyUsage.digitalSignature || keyUsage.keyCertSign || keyUsage.cRLSign)
    return deny('svid_key_usage', 'keyUsage must have digitalSignature and no signing of certificates');
  if (extKeyUsage !== undefined && !(extKeyUsage.includes(SERVER_AUTH) && extKeyUsage.includes(CLIENT_AUTH)))
    return deny('svid_ext_key_usage', 'extendedKeyUsage must have serverAuth and clientAuth');
  return grant(id);
};

/** By its SVID. */
interface Member {
  readonly id: AgentId;
  /** Seconds. */
  readonly issuedAt: number;
}

/** Who it is; and, for who is nobody in spite of a certificate, why. */
export interface Identity {
  readonly actor: Actor;
  readonly fault: Denial | undefined;
  /**
   * Who it would be, had the CA of its SVID not been dropped: may renew that SVID and nothing else. A thief of the CA can show one
   * too, but a renewal is by the agent key.
   */
  readonly renewing?: Actor;
}

const LOCAL: Actor = {
  kind: 'local',
  name: `local:${process.getuid?.() ?? 'owner'}`,
  roles: new Set(['admin', 'operator', 'auditor']),
  id: undefined,
  principal: undefined,
};

export interface ActorsOptions {
  readonly trustDomain: string;
  readonly clock: Clock;
  readonly roles: RoleBindings;
  readonly standing: Standing;
  /** SVID CA certificates (DER) of our trust domain: the same array until they change. */
  readonly authorities: () => readonly Buffer[];
  /** CAs that were dropped, under which an SVID is still good for its renewal. */
  readonly dropped?: () => readonly Buffer[];
}

export class Actors {
  private readonly options: ActorsOptions;

  constructor(options: ActorsOptions) {
    this.options = options;
  }

  /** `source` is the address of who is nobody. */
  async identify(socket: Socket, source: string): Promise<Identity> {
    // Whoever opens the unix socket owns the directory: its mode is 0600.
    if (!(socket instanceof TLSSocket)) return { actor: LOCAL, fault: undefined };
    const { authorities, dropped } = this.options;
    const verdict = this.member(socket, authorities());
    if (verdict.ok) return this.identityOf(verdict.value, source);
    const identity = nobody(source, verdict);
    if (verdict.reason !== 'svid_untrusted' || dropped === undefined) return identity;
    const before = this.member(socket, dropped());
    if (!before.ok) return identity;
    const { actor } = await this.identityOf(before.value, source);
    return actor.kind === 'agent' ? { ...identity, renewing: { ...actor, roles: new Set() } } : identity;
  }

  private async identityOf({ id, issuedAt }: Member, source: string): Promise<Identity> {
    const { standing, roles } = this.options;
    if (await standing.isBarred(id, issuedAt))
      return nobody(
        source,
        deny(
          'id_retired',
          `${id} was retired or revoked, its session has ended, or another key has its name now`,
        ),
      );
    const session = await standing.sessionOf(id);
    const actor: Actor = {
      kind: 'agent',
      name: id,
      roles: roles.rolesOf(id, session),
      id,
      principal: session?.principal,
    };
    return { actor, fault: undefined };
  }

  private member(socket: TLSSocket, authorities: readonly Buffer[]): Verdict<Member> {
    const leaf = socket.getPeerX509Certificate();
    if (leaf === undefined) return deny('api_unauthenticated', 'this needs an SVID of this trust domain');
    // A resumed session would bring a certificate that nobody has looked at this time.
    if (socket.isSessionReused()) return deny('svid_resumed', 'TLS sessions are not resumed here');
    let certificate: PeerCertificate;
    try {
      certificate = parsePeerCertificate(leaf);
    } catch {
      return deny('svid_untrusted', 'the certificate can’t be read');
    }
    const { trustDomain, clock } = this.options;
    const id = identifyMember(certificate, trustDomain, authorities, Math.floor(clock.now() / 1000));
    return id.ok ? grant({ id: id.value, issuedAt: certificate.notBefore + BACKDATED_SECONDS }) : id;
  }
}

const nobody = (source: string, fault: Denial): Identity => ({
  actor: { kind: 'anyone', name: source, roles: new Set(), id: undefined, principal: undefined },
  fault,
});

/** Whether somebody may use an endpoint. Refuses with `api_unauthenticated`, `api_forbidden`, `id_retired`, `svid_*`. */
export const checkAccess = (access: Access, { actor, fault }: Identity): Denial | undefined => {
  if (access === 'anyone') return undefined;
  if (actor.kind === 'anyone')
    return fault ?? deny('api_unauthenticated', 'this needs an SVID of this trust domain');
  if (access === 'member' || access.some((role) => actor.roles.has(role))) return undefined;
  return deny('api_forbidden', `this needs one of the roles ${access.join(', ')}`);
};
