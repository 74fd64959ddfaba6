/** What a content rule found, and what follows. Nothing here holds a word of what was looked at. */
import type { ContentRule } from '../policy/model.ts';
import type { Denial } from '../verdict.ts';

export interface Finding {
  /** Name of the rule. */
  readonly rule: string;
  readonly action: ContentRule['action'];
  /** Its rule decides nothing. */
  readonly shadow: boolean;
  /** `injection`, `secrets`, `pii`; `patterns` for one of the rule's own; `type`, `size`, `reading` for what has no pattern. */
  readonly detector: string;
  /** `injection/ignore-previous`, `patterns/NAME`; that of the detector where there is no pattern. */
  readonly pattern: string;
  /** In which text: that of the body as it is read, or what base64 in it says. */
  readonly view: 'text' | 'base64';
  /** Characters from the start of that text (of that event, in an event stream) after decoding and folding. */
  readonly at: number;
  /** Characters. */
  readonly length: number;
  /** Ordinal of the event in an event stream, from 0; undefined elsewhere. */
  readonly event?: number;
}

/** A denial by a rule. Of `quarantine` the body is to be kept aside; that is for the hop to do. */
export interface ContentDenial extends Denial {
  readonly rule: string;
  readonly action: 'deny' | 'quarantine';
}

export type Direction = 'request' | 'response';

/** What the head says of a body. */
export interface BodyHead {
  /** As sent; undefined where there is none. */
  readonly contentType: string | undefined;
  /** As sent; undefined where there is none. */
  readonly contentEncoding: string | undefined;
  /** Octets, where the head says so. */
  readonly contentLength?: number | undefined;
}

/** Findings of one pattern that are told of one body; where it is once, it is enough to know. */
export const MAX_FINDINGS_OF_PATTERN = 4;
