/** Which bundle was accepted last, on disk: without it a rollback across a restart can't be seen. */
import { mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseStrictObjectText } from '../../core/encoding/json.ts';
import { isDigest } from '../../core/encoding/members.ts';
import type { Bundle, BundleOrder } from '../../core/trust/bundle.ts';
import { writeFilesAtomic } from './atomic-file.ts';
import { TrustError } from './trust-error.ts';

export const orderOf = ({ epoch, seq, digest }: Bundle): BundleOrder => ({ epoch, seq, digest });

/** What came before the first bundle. */
const NOTHING: BundleOrder = { epoch: 0, seq: 0 };

/** Throws {@link TrustError} for a file that is damaged: better not to start. */
export const readOrder = (file: string): BundleOrder => {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return NOTHING;
    throw error;
  }
  const parsed = parseStrictObjectText(text);
  const { epoch, seq, digest } = parsed.ok ? parsed.value : {};
  if (typeof epoch !== 'number' || typeof seq !== 'number')
    throw new TrustError(`${file}: is damaged; it holds the order of the last accepted bundle`);
  // A file of an older version has no digest; the next bundle brings one.
  if (digest === undefined) return { epoch, seq };
  if (!isDigest(digest)) throw new TrustError(`${file}: is damaged; its digest is none`);
  return { epoch, seq, digest: digest as string };
};

export const orderText = (order: BundleOrder): string => `${JSON.stringify(order)}\n`;

/** Throws on I/O. */
export const writeOrder = (file: string, order: BundleOrder): void => {
  mkdirSync(dirname(file), { recursive: true });
  writeFilesAtomic([{ file, content: orderText(order) }]);
};
