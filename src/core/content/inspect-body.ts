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

/** Refuses with `content_type`, `content_too_large`, `content_unreadable`, `content_denied`. */
export const inspectBody = (
  selection: ContentSelection,
  body: BodyHead & { readonly octets: Uint8Array },
): ContentOutcome => {
  const inspector = new ContentInspector(
    selection,
    { ...body, contentLength: body.octets.length },
    { whole: true },
  );
  const denial = inspector.open() ?? inspector.push(body.octets).denial ?? inspector.end().denial;
  return { findings: inspector.findings, denial };
};
