/** Findings of content rules as the log has them: each kind once, and never what was found. */
import type { ContentNote } from '../core/audit/record.ts';
import type { Finding } from '../core/content/model.ts';

export const notesOf = (findings: readonly Finding[]): readonly ContentNote[] => {
  const notes = new Map<string, ContentNote>();
  for (const { rule, pattern, shadow, action } of findings) {
    const note = { action: shadow ? 'shadow' : action, pattern, rule };
    notes.set(`${rule} ${pattern}`, note);
  }
  return [...notes.values()];
};
