/** What was verified, for the agent: in headers that nobody else can have set. */
import type { ScopeLiteral } from '../core/delegation/scope.ts';
import { addTracestate } from '../edge/http/request-headers.ts';
import type { Permit } from '../hop/permit.ts';
import type { Connection } from '../hop/session.ts';
import { Assertions } from './assertion.ts';
import { nowSeconds, type Parts } from './parts.ts';

const NOTHING_HELD: readonly ScopeLiteral[] = [];

export class VerifiedHeaders {
  private readonly parts: Parts;
  private readonly assertions = new Assertions();

  constructor(parts: Parts) {
    this.parts = parts;
  }

  /** Adds them, and the handle of a context where the caller has granted something. */
  addTo(headers: string[], session: Connection, permit: Permit, hop: string): void {
    const { delegated } = permit;
    const { parts } = this;
    const identity = parts.identity();
    const { id: caller } = session.identified;
    const { chain, granted } = delegated;
    // What is only observed was never checked against the chain.
    const held = permit.observed === undefined ? permit.required : NOTHING_HELD;
    if (permit.labels.length > 0) headers.push('hopgate-labels', permit.labels.join(' '));
    headers.push(
      'hopgate-principal',
      chain.principal,
      'hopgate-caller',
      caller,
      'hopgate-task',
      chain.task,
      'hopgate-scope',
      held.join(' '),
      'hopgate-hop',
      hop,
      'hopgate-assertion',
      this.assertions.for(delegated, held, identity, nowSeconds(parts)),
      'x-forwarded-client-cert',
      `By=${identity.id};Hash=${session.peerCertificateHex};URI=${caller}`,
    );
    if (granted === undefined) return;
    const onward = `${delegated.chainText}~${delegated.grantText}`;
    const context = parts.contexts.open(caller, onward, granted);
    parts.rebinding.prepare(context, nowSeconds(parts));
    const { handle } = context;
    headers.push('hopgate-context', handle);
    addTracestate(headers, handle);
  }
}
