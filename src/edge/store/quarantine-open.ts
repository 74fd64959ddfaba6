/** A quarantine as the configuration describes it. */
import { readFileSync } from 'node:fs';
import { Quarantine, type QuarantineOptions } from './quarantine.ts';
import { parseReviewer, type Reviewer, ReviewerKeyError } from './quarantine-keys.ts';

/** With the reviewers' files, as the configuration names them. Throws a sentence about the file at fault. */
export const openQuarantine = ({
  reviewers: files,
  ...rest
}: Omit<QuarantineOptions, 'reviewers'> & { readonly reviewers: readonly string[] }): Quarantine => {
  const reviewers = files.map(readReviewer);
  for (const { name, key } of reviewers)
    if (reviewers.filter((one) => one.name === name || one.key.thumbprint === key.thumbprint).length > 1)
      throw new Error(`quarantine.reviewers: ${name} is named twice`);
  return new Quarantine({ ...rest, reviewers });
};

const readReviewer = (file: string): Reviewer => {
  try {
    return parseReviewer(readFileSync(file));
  } catch (error) {
    throw error instanceof ReviewerKeyError ? new Error(`${file} ${error.message}`) : error;
  }
};
