/** A quarantine over real files, a real log and reviewers with real keys, under a clock that stands still. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { readRecordLine } from '../../src/core/audit/read-record.ts';
import type { QuarantineRecord } from '../../src/core/audit/record.ts';
import type { QuarantinedRequest } from '../../src/core/quarantine/item.ts';
import {
  mintReviewerToken,
  type ReviewerClaims,
  type ReviewerTokenType,
} from '../../src/core/quarantine/reviewer.ts';
import type { AgentId } from '../../src/core/spiffe-id.ts';
import { AuditLog } from '../../src/edge/store/audit-log.ts';
import { Quarantine } from '../../src/edge/store/quarantine.ts';
import type { QuarantineLimits } from '../../src/edge/store/quarantine-bounds.ts';
import {
  makeReviewerFiles,
  parseReviewer,
  parseReviewerKey,
  type Reviewer,
  type ReviewerKey,
} from '../../src/edge/store/quarantine-keys.ts';
import { FileUseCounter } from '../../src/edge/store/use-counter.ts';
import { ALICE, auditKey, permitted, testAgent } from './core-world.ts';
import { TestClock } from './test-clock.ts';

const own = testAgent('inventory');
const planner = testAgent('planner');

export interface Person {
  readonly key: ReviewerKey;
  readonly reviewer: Reviewer;
}

export const person = (name: string): Person => {
  const { key, pub } = makeReviewerFiles(name);
  return { key: parseReviewerKey(Buffer.from(key)), reviewer: parseReviewer(Buffer.from(pub)) };
};

export const REQUEST: QuarantinedRequest = {
  caller: planner.id,
  callee: own.id,
  principal: ALICE,
  task: 'A'.repeat(43),
  method: 'POST',
  target: '/reports?for=secret-query',
  type: 'application/json; note="secret-parameter"',
  encoding: '',
};
export const CAUSE = { hop: `${'A'.repeat(22)}.1`, rule: 'injection', findings: ['injection/override'] };
export const BODY = Buffer.from('{"text":"secret-body"}');

const LIMITS: QuarantineLimits = {
  retentionSeconds: 7 * 86_400,
  maxBytes: 1_000_000,
  maxItems: 10,
  maxBytesPerCaller: 1_000_000,
  maxItemsPerCaller: 10,
};

export class QuarantineWorld {
  readonly clock = new TestClock();
  readonly directory = mkdtempSync(path.join(tmpdir(), 'hopgate-quarantine-'));
  readonly bob = person('bob');
  readonly failures: Error[] = [];
  readonly log: AuditLog;

  constructor() {
    const { clock } = this;
    this.log = new AuditLog({
      file: path.join(this.directory, 'audit.log'),
      durability: 'process',
      checkpointRecords: 1000,
      checkpointIntervalMs: 60_000,
      refusalIntervalMs: 60_000,
      refusalSources: 8,
      denialsPerCaller: 100,
      signer: () => ({ sidecar: own.id, wit: own.wit, auditX: auditKey.x, sign: auditKey.sign }),
      clock,
      onFailure: (error) => this.failures.push(error),
    });
    this.log.open();
    onTestFinished(() => {
      this.log.close('test over');
      rmSync(this.directory, { recursive: true, force: true });
    });
  }

  /** In which the quarantine keeps its files. */
  get folder(): string {
    return path.join(this.directory, 'quarantine');
  }

  /** Opens it, as a sidecar that starts does. */
  open(
    limits: Partial<QuarantineLimits> = {},
    reviewers: readonly Person[] = [this.bob],
    sidecar: AgentId = own.id,
    directory = this.directory,
  ): Quarantine {
    return new Quarantine({
      directory: path.join(directory, 'quarantine'),
      reviewers: reviewers.map(({ reviewer }) => reviewer),
      limits: { ...LIMITS, ...limits },
      clock: this.clock,
      audit: this.log,
      uses: new FileUseCounter(path.join(directory, 'uses.log'), this.clock),
      sidecar: () => sidecar,
      onFailure: (error) => this.failures.push(error),
    });
  }

  word(
    id: string,
    type: ReviewerTokenType = 'quarantine-release+jwt',
    changes: Partial<ReviewerClaims> = {},
    { key }: Person = this.bob,
  ): string {
    const iat = this.clock.seconds;
    const jti = randomBytes(16).toString('base64url');
    const claims = { aud: own.id, iat, exp: iat + 300, id, jti, why: 'looked at it', ...changes };
    return mintReviewerToken(type, claims, key.signing.sign, key.signing.thumbprint);
  }

  get logText(): string {
    return readFileSync(path.join(this.directory, 'audit.log'), 'utf8');
  }

  /** `action by` of each record of the quarantine. */
  get history(): readonly string[] {
    return this.records.map(({ action, by }) => `${action} ${by}`);
  }

  get records(): readonly QuarantineRecord[] {
    return this.logText
      .split('\n')
      .filter(Boolean)
      .map((line) => permitted(readRecordLine(line)))
      .filter((record) => record.kind === 'quarantine');
  }
}

/** Names it and keeps it. */
export const keep = async (
  quarantine: Quarantine,
  body = BODY,
  request = REQUEST,
): Promise<{ readonly id: string; readonly reason: string }> => {
  const named = quarantine.name(request, body);
  const kept = await quarantine.keep(named, CAUSE, body);
  return { id: named.id, reason: kept.ok ? 'ok' : kept.reason };
};

/** Sends it again: whether it passes. */
export const passes = async (quarantine: Quarantine, body = BODY, request = REQUEST): Promise<boolean> =>
  permitted(await quarantine.takeRelease(quarantine.name(request, body), CAUSE.hop));
