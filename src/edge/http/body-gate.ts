/** A request's body on its way: counted where nobody announced a length, and shown to whoever looks at it as it goes by. */
import { Transform } from 'node:stream';
import type { ReasonCode } from '../../core/reasons.ts';
import { deny } from '../../core/verdict.ts';
import type { BodyInspector, BodyStep } from '../../ports.ts';

const FAULT: BodyStep = { pass: [], denial: deny('internal', 'a fault in what looks at bodies') };
/** INVARIANT: what could not be looked at does not go on, and takes nothing but its exchange with it. */
export const look = (at: () => BodyStep): BodyStep => {
  try {
    return at();
  } catch {
    return FAULT;
  }
};

/** Why a body goes no further. */
export class Cut extends Error {
  readonly reason: ReasonCode;
  constructor(reason: ReasonCode) {
    super(reason);
    this.reason = reason;
  }
}

/** Ends with a {@link Cut} as its error. */
export class BodyGate extends Transform {
  octets = 0;
  private readonly most: number;
  private readonly inspector: BodyInspector | undefined;

  constructor(most: number, inspector: BodyInspector | undefined) {
    super();
    this.most = most;
    this.inspector = inspector;
  }

  override _transform(chunk: Buffer, _encoding: string, next: (error?: Error | null) => void): void {
    this.octets += chunk.length;
    if (this.octets > this.most) next(new Cut('http_body_too_large'));
    else
      this.pass(
        look(() => this.inspector?.push(chunk) ?? { pass: [chunk] }),
        next,
      );
  }

  override _flush(next: (error?: Error | null) => void): void {
    this.pass(
      look(() => this.inspector?.end() ?? { pass: [] }),
      next,
    );
  }

  private pass({ pass, denial }: BodyStep, next: (error?: Error | null) => void): void {
    for (const chunk of pass) this.push(chunk);
    next(denial === undefined ? null : new Cut(denial.reason));
  }
}
