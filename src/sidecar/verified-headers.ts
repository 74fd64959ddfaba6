/** What was verified, for the agent: in headers that nobody else can have set. */
import { addTracestate } from '../edge/http/request-headers.ts';
import type { Permit } from '../hop/decide.ts';
import type { Session } from '../hop/session.ts';
import { Assertions } from './assertion.ts';
import { nowSeconds, type Parts } from './parts.ts';

export class VerifiedHeaders {
  private readonly parts: Parts;
  private readonly assertions = new Assertions();

  constructor(parts: Parts) {
    this.parts = parts;
  }

  /** Adds them, and the handle of a context where the caller has granted something. */
  addTo(headers: string[], session: Session, permit: Permit, hop: string): void {
    const { delegated } = permit;
    const { parts } = this;
    const identity = parts.identity();
    const { peer } = session;
    const { chain, granted } = delegated;
    headers.push(
      'hopgate-principal',
      chain.principal,
      'hopgate-caller',
      peer.id,
      'hopgate-task',
      chain.task,
      'hopgate-scope',
      permit.required.join(' '),
      'hopgate-hop',
      hop,
      'hopgate-assertion',
      this.assertions.for(delegated, permit.required, identity, nowSeconds(parts)),
      'x-forwarded-client-cert',
      `By=${identity.id};Hash=${session.peerCertificateHex};URI=${peer.id}`,
    );
    if (granted === undefined) return;
    const onward = `${delegated.chainText}~${delegated.grantText}`;
    const context = parts.contexts.open(peer.id, onward, granted);
    parts.rebinding.prepare(context, nowSeconds(parts));
    const { handle } = context;
    headers.push('hopgate-context', handle);
    addTracestate(headers, handle);
  }
}
