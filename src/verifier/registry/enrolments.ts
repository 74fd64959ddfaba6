/**
 * Enrolment and renewal: from evidence and proof to an SVID, a WIT and a key binding. One ID has one live key; a second
 * one for it is a planned rotation, which the first has signed, or an alarm, which ends the first.
 */
import type { Credentials, EnrolmentEvidence, Evidence, RenewalEvidence } from '../../api/enrolment.ts';
import type { Entry } from '../../api/registry.ts';
import type { AgentId } from '../../core/spiffe-id.ts';
import { verifyRotation } from '../../core/trust/enrolment.ts';
import type { Clock } from '../../ports.ts';
import type { Actor } from '../actor.ts';
import type { Issuing } from '../authority/issuing.ts';
import { Edit, type EventBody, type Recorded } from '../records.ts';
import { Refusal } from '../refusal.ts';
import { ConflictError } from '../store/store.ts';
import { AGENT, type AgentRecord, svidKeyName } from './agent-records.ts';
import { attestedFor } from './attested-facts.ts';
import type { Attestation, AttestContext, Attestor } from './attestors/attestor.ts';
import type { Barring } from './barring.ts';
import type { Challenges } from './challenges.ts';
import { ENTRY } from './entries.ts';
import { recordOf } from './issued-record.ts';
import type { JoinTokens } from './join-tokens.ts';
import { KeyOwners } from './key-owners.ts';
import { Naming, type NamingParts } from './naming.ts';
import { type ProvenRequest, proveRequest } from './proven-request.ts';

/** What everybody who enrols is given besides: the newest of each. */
export interface Published {
  readonly roles: string;
  /** base64 of gzip. */
  readonly packed?: string | undefined;
  readonly timestamp?: string | undefined;
}

export type Attestors = {
  readonly [Method in EnrolmentEvidence['method']]?: Attestor<Method>;
};

export interface EnrolmentsParts extends NamingParts {
  readonly clock: Clock;
  readonly issuing: Issuing;
  readonly barring: Barring;
  readonly challenges: Challenges;
  readonly tokens: JoinTokens;
  readonly attestors: Attestors;
  readonly published: () => Published | Promise<Published>;
  /** Seconds; where an entry says nothing. */
  readonly svidTtlSeconds: number;
  /** Seconds; whatever an entry says, which may be from when more was allowed. */
  readonly maxSvidTtlSeconds: number;
}

interface Signed {
  readonly csr: string;
  readonly proof: string;
  readonly previous?: string | undefined;
}
export interface EnrolmentRequest extends Signed {
  readonly evidence: EnrolmentEvidence;
}
export interface RenewalRequest extends Signed {
  readonly evidence: RenewalEvidence;
}

/** Who sends it, and from which address. */
export interface Sender {
  readonly actor: Actor;
  readonly source: string;
}

/** Two at once for one ID or one token: the second looks again at what the first has left. */
const ATTEMPTS = 4;

export class Enrolments {
  private readonly parts: EnrolmentsParts;
  private readonly owners: KeyOwners;
  private readonly naming: Naming;

  constructor(parts: EnrolmentsParts) {
    this.parts = parts;
    this.owners = new KeyOwners(parts.records);
    this.naming = new Naming(parts);
  }

  /** Throws `enrolment_proof`, `attestation_*`, `entry_unmatched`, `id_retired`, `api_busy`, `api_unavailable`. */
  async enrol(sender: Sender, request: EnrolmentRequest): Promise<Credentials> {
    const proven = await this.prove(request);
    return this.again(async () => {
      const attestation = await this.attest(request.evidence, proven);
      const { entry, id } = await this.naming.of(attestation, proven.id);
      const was = await this.parts.records.get(AGENT, id);
      return this.issue({ sender, proven, attestation, entry, id, was });
    });
  }

  /** The same for who has an SVID: attested anew, and by the key that it has. Throws what `enrol` does, and `api_not_found`. */
  async renew(sender: Sender, request: RenewalRequest): Promise<Credentials> {
    const { id } = sender.actor;
    if (id === undefined) throw new Refusal('api_unauthenticated', 'a renewal needs the SVID that it renews');
    const proven = await this.prove(request);
    return this.again(async () => {
      const was = await this.parts.records.get(AGENT, id);
      if (was === undefined) throw new Refusal('api_not_found', `${id} has not enrolled here`);
      if (was.value.state === 'retired') throw retired(id);
      if (proven.agentKey.thumbprint !== was.value.thumbprint && proven.previous === undefined)
        throw new Refusal(
          'enrolment_proof',
          `${id} has another agent key; a renewal is by that, or has its word`,
        );
      const attestation = await this.attestAgain(request.evidence, proven, was.value);
      const { entry, id: attested } = await this.naming.of(attestation, proven.id);
      if (attested !== id)
        throw new Refusal('entry_unmatched', `what was attested is ${attested} now, and not ${id}`);
      return this.issue({ sender, proven, attestation, entry, id, was });
    });
  }

  private prove(request: Signed): Promise<ProvenRequest> {
    return proveRequest(request, this.parts.challenges, this.parts.issuing.trustDomain);
  }

  private async again(work: () => Promise<Credentials>): Promise<Credentials> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof ConflictError)) throw error;
        if (attempt === ATTEMPTS)
          throw new Refusal('api_conflict', 'others enrol for the same name at this moment; try again');
      }
    }
  }

  private attest(evidence: Evidence, proven: ProvenRequest): Promise<Attestation> {
    const context: AttestContext = {
      nonce: proven.nonce,
      csr: proven.csr.digest,
      thumbprint: proven.agentKey.thumbprint,
      now: this.now,
    };
    const { join, kubernetes, oidc, x509pop } = this.parts.attestors;
    switch (evidence.method) {
      case 'join':
        return join?.attest(evidence, context) ?? notHere(evidence.method);
      case 'kubernetes':
        return kubernetes?.attest(evidence, context) ?? notHere(evidence.method);
      case 'oidc':
        return oidc?.attest(evidence, context) ?? notHere(evidence.method);
      case 'x509pop':
        return x509pop?.attest(evidence, context) ?? notHere(evidence.method);
      case 'svid':
        return notHere(evidence.method);
    }
  }

  /** A join token can't be shown twice: then what it once showed holds, for as long as an entry wants it. */
  private attestAgain(
    evidence: RenewalEvidence,
    proven: ProvenRequest,
    { id, attestor, facts }: AgentRecord,
  ): Promise<Attestation> {
    if (evidence.method !== (attestor === 'join' ? 'svid' : attestor))
      throw new Refusal('attestation_refused', `${id} was attested by ${attestor}, and renews by the same`);
    if (evidence.method === 'svid') return Promise.resolve({ method: 'join', facts, values: {}, id });
    return this.attest(evidence, proven);
  }

  private async issue({ sender, proven, attestation, entry, id, was }: Issue): Promise<Credentials> {
    const { records, issuing, barring, published, tokens, svidTtlSeconds, maxSvidTtlSeconds } = this.parts;
    const { agentKey, auditKey, csr } = proven;
    if (was?.value.state === 'retired') throw retired(id);
    const barred = await barring.barred(id, agentKey.thumbprint);
    if (barred === 'revoked_agent') throw retired(id);
    if (barred !== undefined)
      throw new Refusal('enrolment_proof', `the agent key was revoked (${barred}); make a new one`);

    const edit = new Edit();
    // Retired or changed since it was read: then this enrolment begins anew.
    edit.expect.push({ key: `${ENTRY.prefix}/${entry.name}`, revision: entry.revision });
    const events = await this.replaceKey(edit, { sender, proven, id, was });
    await this.owners.claim(edit, id, [
      { name: agentKey.thumbprint, use: 'agent' },
      { name: auditKey.thumbprint, use: 'audit' },
      { name: svidKeyName(csr.keyDigest), use: 'svid' },
    ]);
    const svid = await issuing.svid({
      id,
      key: csr.key,
      ttlSeconds: Math.min(entry.value.svidTtlSeconds ?? svidTtlSeconds, maxSvidTtlSeconds),
    });
    const { wit, keyBinding } = issuing.tokens({
      id,
      agentX: agentKey.x,
      auditX: auditKey.x,
      exp: svid.notAfter,
      attested: attestedFor(attestation, entry.value),
    });
    const isReplaced = events.some(({ event }) => event === 'agent.key_replaced');
    const record = recordOf({
      isReplaced,
      proven,
      attestation,
      entry: entry.name,
      id,
      was,
      svid,
      now: this.now,
    });
    edit.set(AGENT, id, record, was ?? null);
    await this.owners.forget(edit, was?.value.svidKeys ?? [], record.svidKeys);
    if (attestation.token !== undefined) events.push(tokens.use(edit, attestation.token, sender.actor));
    const issued = {
      id,
      serial: record.serial,
      notAfter: svid.notAfter,
      key: agentKey.thumbprint,
      attestor: record.attestor,
      entry: entry.name,
      source: sender.source,
    };
    const { actor } = sender;
    if (was === undefined) events.push({ event: 'agent.enrolled', actor, why: '', data: issued });
    events.push({ event: 'svid.issued', actor, why: '', data: issued });
    const newest = await published();
    await records.commit(events, edit);
    return {
      id,
      svid: svid.pem,
      svidNotAfter: svid.notAfter,
      wit,
      keyBinding,
      entry: entry.name,
      roles: newest.roles,
      ...(newest.packed !== undefined && { packed: newest.packed }),
      ...(newest.timestamp !== undefined && { timestamp: newest.timestamp }),
    };
  }

  /** What follows from another key than the last one: nothing, where it is the same or the first. */
  private async replaceKey(
    edit: Edit,
    { sender, proven, id, was }: Pick<Issue, 'sender' | 'proven' | 'id' | 'was'>,
  ): Promise<EventBody[]> {
    const { agentKey, previous, nonce } = proven;
    if (was === undefined || was.value.thumbprint === agentKey.thumbprint) return [];
    const { actor, source } = sender;
    const data = { id, old: was.value.thumbprint, new: agentKey.thumbprint, source };
    await this.owners.end(edit, was.value.thumbprint);
    if (previous !== undefined) {
      const rotated = verifyRotation(previous, was.value.agentX, { id, nonce, next: agentKey.thumbprint });
      if (!rotated.ok) throw new Refusal('enrolment_proof', rotated.detail);
      return [{ event: 'agent.key_rotated', actor, why: '', data }];
    }
    const why = 'a second enrolment, with another key';
    const live = was.value.svidNotAfter > this.now;
    const lost = await this.parts.barring.keyLost(edit, id, was.value.thumbprint, { actor, why });
    return [
      {
        event: 'agent.key_replaced',
        actor,
        why,
        data: { ...data, level: live ? 'alarm' : 'notice', oldSvidNotAfter: was.value.svidNotAfter },
      },
      ...lost,
    ];
  }

  private get now(): number {
    return Math.floor(this.parts.clock.now() / 1000);
  }
}

interface Issue {
  readonly sender: Sender;
  readonly proven: ProvenRequest;
  readonly attestation: Attestation;
  readonly entry: Recorded<Entry>;
  readonly id: AgentId;
  readonly was: Recorded<AgentRecord> | undefined;
}

const retired = (id: AgentId): Refusal => new Refusal('id_retired', `${id} was retired or revoked`);

const notHere = (method: string): never => {
  throw new Refusal('attestation_refused', `this verifier recognises nobody by ${method}`);
};
