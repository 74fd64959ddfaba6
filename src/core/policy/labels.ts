/** Labels of data, as policy names them and sidecars tell each other (SPEC.md sections 12 and 13). */

/** Of one request or response. */
export const MAX_LABELS = 64;
const LABEL = /^[a-z][a-z0-9_-]{0,31}$/;

export const isLabel = (text: unknown): text is string => typeof text === 'string' && LABEL.test(text);

/** `Delegation-Labels`: labels with one space between them, each once; undefined for anything else. */
export const parseLabels = (text: string): readonly string[] | undefined => {
  const labels = text.split(' ');
  if (labels.length > MAX_LABELS || new Set(labels).size !== labels.length) return undefined;
  return labels.every(isLabel) ? labels : undefined;
};
