/** Words between agents, as A2A wraps them. */
import type { Message, Part, Task } from '@a2a-js/sdk';

export const textPart = (text: string): Part => ({
  content: { $case: 'text', value: text },
  metadata: undefined,
  filename: '',
  mediaType: 'text/plain',
});

/** The text of a finished task's artifacts. Throws when it isn't one. */
export const resultOf = (answer: Task | Message): string => {
  const parts = 'artifacts' in answer ? answer.artifacts.flatMap((artifact) => artifact.parts) : [];
  const texts = parts.flatMap(({ content }) => (content?.$case === 'text' ? [content.value] : []));
  if (texts.length === 0) throw new Error('an agent answered without a result');
  return texts.join(' ');
};
