/** An authority over a store in memory, with its keys in a folder of its own and a clock that stands still. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Authority, type AuthorityOptions } from '../../src/verifier/authority/authority.ts';
import { Publication, type PublicationParts } from '../../src/verifier/publication/publication.ts';
import type { Sources } from '../../src/verifier/publication/sources.ts';
import { Records } from '../../src/verifier/records.ts';
import type { Store } from '../../src/verifier/store/store.ts';
import { MemoryStore } from './memory-store.ts';
import { TestClock } from './test-clock.ts';

export const START = 1_800_000_000;

/** A folder that goes with the test. */
export const makeFolder = (onFinished: (work: () => void) => void): string => {
  const directory = mkdtempSync(path.join(tmpdir(), 'hopgate-keys-'));
  onFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
};

export interface Stage {
  readonly directory: string;
  readonly clock: TestClock;
  readonly store: Store;
  readonly records: Records;
  /** Opens the authority anew, as a verifier that was restarted does. */
  readonly open: (options?: Partial<AuthorityOptions>) => Promise<Authority>;
}

export const makeStage = (
  onFinished: (work: () => void) => void,
  {
    store = new MemoryStore(),
    clock = new TestClock(START * 1000),
  }: { readonly store?: Store; readonly clock?: TestClock } = {},
): Stage => {
  const directory = makeFolder(onFinished);
  const records = new Records(store, clock);
  const open: Stage['open'] = (options) =>
    Authority.open({ trustDomain: 'company.com', directory, records, clock, ...options });
  return { directory, clock, store, records, open };
};

/** Sources that have nothing to say. */
export const SILENT: Sources = {
  anchors: { kinds: [], read: () => [] },
  approvers: { kinds: [], read: () => [] },
  policy: { kinds: [], read: () => undefined },
  lists: { kinds: [], read: () => undefined },
  revocations: { kinds: [], read: () => [] },
  scores: { kinds: [], read: () => undefined },
  attributes: { kinds: [], read: () => undefined },
  domains: { kinds: [], read: () => ({}) },
};

/** A publication whose faults fail the test that doesn't ask for them. */
export const openPublication = async (
  parts: Omit<PublicationParts, 'onFault'> & Partial<PublicationParts>,
): Promise<Publication> => {
  const publication = new Publication({
    onFault: (error) => {
      throw error;
    },
    ...parts,
  });
  await publication.open();
  return publication;
};
