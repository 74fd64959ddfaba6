/** Looks for the credential in what a destination answers: an echo would hand it to the agent. */
import { deny, grant } from '../../core/verdict.ts';
import type { BodyInspector, BodyStep, OpenResponse, ResponseWatch } from '../../ports.ts';

const SHOWN = deny(
  'egress_credential_shown',
  'the destination sent back the credential that it was called with',
);

/**
 * Passes octets on until the secret is whole. What could be its beginning is held back from half of it on and not before: whoever can
 * have guesses sent back and sees what is late would else find it letter by letter.
 */
export class SecretSearch implements BodyInspector {
  private readonly secret: Buffer;
  private readonly least: number;
  /** The last octets, one less than the secret has. */
  private window: Buffer = Buffer.alloc(0);
  /** So many of them have not gone on. */
  private held = 0;

  constructor(secret: string) {
    this.secret = Buffer.from(secret, 'latin1');
    this.least = Math.ceil(this.secret.length / 2);
  }

  push(chunk: Uint8Array): BodyStep {
    const octets = this.window.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.window, chunk]);
    if (octets.includes(this.secret)) return { pass: [], denial: SHOWN };
    const from = this.window.length - this.held;
    const begun = octets.length - this.beginningAt(octets);
    const to = Math.max(from, octets.length - (begun >= this.least ? begun : 0));
    this.window = octets.subarray(Math.max(0, octets.length - this.secret.length + 1));
    this.held = octets.length - to;
    return { pass: to === from ? [] : [octets.subarray(from, to)] };
  }

  /** Where the secret may have begun; the end where it has not. */
  private beginningAt(octets: Buffer): number {
    const [first = 0] = this.secret;
    let at = octets.indexOf(first, Math.max(0, octets.length - this.secret.length + 1));
    while (at !== -1) {
      if (this.secret.compare(octets, at, octets.length, 0, octets.length - at) === 0) return at;
      at = octets.indexOf(first, at + 1);
    }
    return octets.length;
  }

  end(): BodyStep {
    const rest = this.window.subarray(this.window.length - this.held);
    this.window = Buffer.alloc(0);
    this.held = 0;
    return { pass: rest.length === 0 ? [] : [rest] };
  }
}

/** First the secret, then whatever else is looked for. */
class Guarded implements BodyInspector {
  private readonly search: BodyInspector;
  private readonly next: BodyInspector | undefined;

  constructor(search: BodyInspector, next: BodyInspector | undefined) {
    this.search = search;
    this.next = next;
  }

  push(chunk: Uint8Array): BodyStep {
    return this.through(this.search.push(chunk));
  }

  end(): BodyStep {
    const step = this.through(this.search.end());
    if (step.denial !== undefined || this.next === undefined) return step;
    const last = this.next.end();
    return { pass: [...step.pass, ...last.pass], denial: last.denial };
  }

  private through(step: BodyStep): BodyStep {
    if (this.next === undefined) return step;
    const pass: Uint8Array[] = [];
    for (const chunk of step.pass) {
      const passed = this.next.push(chunk);
      pass.push(...passed.pass);
      if (passed.denial !== undefined) return { pass, denial: passed.denial };
    }
    return { pass, denial: step.denial };
  }
}

const isCoded = (headers: readonly string[]): boolean =>
  headers.some(
    (value, at) =>
      at % 2 === 1 &&
      headers[at - 1]?.toLowerCase() === 'content-encoding' &&
      value.trim().toLowerCase() !== 'identity',
  );

/** A watch that stands before another: what it does not let pass, nobody sees. */
export const guardEcho = (secret: string, watch: ResponseWatch | undefined): ResponseWatch => ({
  readsBody: true,
  open(status, headers, contentLength) {
    // Asked for without a coding: what comes in one all the same could hold anything.
    if (isCoded(headers))
      return deny(
        'response_malformed',
        'the destination answers in a content coding, which nobody asked for',
      );
    const opened = watch?.open(status, headers, contentLength);
    if (opened?.ok === false) return opened;
    const next = opened?.value;
    const open: OpenResponse = {
      inspector: new Guarded(new SecretSearch(secret), next?.inspector),
      keepsLength: next?.keepsLength ?? true,
      headNow: next?.headNow ?? isStream(headers),
    };
    return grant(open);
  },
  closing: (problem) => watch?.closing(problem),
  get notes() {
    return watch?.notes ?? { content: [], tools: [] };
  },
});

const isStream = (headers: readonly string[]): boolean =>
  headers.some(
    (value, at) =>
      at % 2 === 1 &&
      headers[at - 1]?.toLowerCase() === 'content-type' &&
      value.toLowerCase().startsWith('text/event-stream'),
  );
