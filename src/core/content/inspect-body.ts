/** Looks at a body that is there whole. */
import type { ContentSelection } from './compile.ts';
import { ContentInspector } from './inspect-stream.ts';
import type { BodyHead, ContentDenial, Finding } from './model.ts';

export interface ContentOutcome {
  /** Everything that was found, by rule; of rules that only mark, and in shadow, too. */
  readonly findings: readonly Finding[];
  /** Whether it stops the body. */
  readonly denial: ContentDenial | undefined;
}

export type WholeBody = BodyHead & { readonly octets: Uint8Array };

/** Octets that are looked at in one go; where they lie changes nothing. */
const PART_BYTES = 16_384;

/**
 * Part by part, so that whoever drives it can do something else in between: a body can be written that takes seconds.
 * Refuses with `content_type`, `content_too_large`, `content_unreadable`, `content_denied`.
 */
export const inspectInParts = function* (
  selection: ContentSelection,
  body: WholeBody,
): Generator<void, ContentOutcome, void> {
  const { octets } = body;
  const inspector = new ContentInspector(
    selection,
    { ...body, contentLength: octets.length },
    { whole: true },
  );
  let denial = inspector.open();
  for (let at = 0; at < octets.length && denial === undefined; at += PART_BYTES) {
    if (at > 0) yield;
    denial = inspector.push(octets.subarray(at, at + PART_BYTES)).denial;
  }
  denial ??= inspector.end().denial;
  return { findings: inspector.findings, denial };
};

/** As {@link inspectInParts}, in one go. */
export const inspectBody = (selection: ContentSelection, body: WholeBody): ContentOutcome => {
  const parts = inspectInParts(selection, body);
  for (;;) {
    const step = parts.next();
    if (step.done === true) return step.value;
  }
};
