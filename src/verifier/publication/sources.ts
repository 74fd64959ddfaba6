/** Where the parts of a bundle come from: small functions that read, filled by those whose subject it is. */
import type { PolicyLists } from '../../core/policy/model.ts';
import type {
  AnchorEntry,
  ApproverEntry,
  AttributesEntry,
  DomainEntry,
  RevocationEntry,
  ScoresEntry,
} from './entries.ts';

/** One part of a bundle. */
export interface Source<T> {
  /** Kinds of the records that it is made of (`principal`): a commit that touches one of them makes it read again. */
  readonly kinds: readonly string[];
  /** Nothing per registered agent is to be touched here. `now` in seconds. */
  read(now: number): T | Promise<T>;
}

export interface Sources {
  /** Keys of principals, and the root issuers with their ceiling. */
  readonly anchors: Source<readonly AnchorEntry[]>;
  readonly approvers: Source<readonly ApproverEntry[]>;
  /** The policy in force, resolved, as plain JSON. */
  readonly policy: Source<Readonly<Record<string, unknown>> | undefined>;
  /** Besides the policy's own. */
  readonly lists: Source<PolicyLists | undefined>;
  /** Those that still end something. */
  readonly revocations: Source<readonly RevocationEntry[]>;
  /** Those that differ from the baseline. */
  readonly scores: Source<ScoresEntry | undefined>;
  /** Attributes of agents and groups of principals; undefined where nobody has any. */
  readonly attributes: Source<AttributesEntry | undefined>;
  /** Foreign trust domains, by name. */
  readonly domains: Source<Readonly<Record<string, DomainEntry>>>;
}

export type SourceName = keyof Sources;
export const SOURCE_NAMES = [
  'anchors',
  'approvers',
  'policy',
  'lists',
  'revocations',
  'scores',
  'attributes',
  'domains',
] as const satisfies readonly SourceName[];

/** What was read. */
export type Content = { readonly [Name in SourceName]: Awaited<ReturnType<Sources[Name]['read']>> };

/** Keeps what the sources said last, and asks only those anew whose records have changed. */
export class SourceReader {
  private readonly sources: Sources;
  private readonly content: { -readonly [Name in SourceName]?: Content[Name] } = {};
  private readonly stale = new Set<SourceName>(SOURCE_NAMES);

  constructor(sources: Sources) {
    this.sources = sources;
  }

  /** Takes note of a commit; true when it touches what a bundle carries. */
  heard(keys: readonly string[]): boolean {
    let touched = false;
    for (const name of SOURCE_NAMES) {
      const { kinds } = this.sources[name];
      if (!keys.some((key) => kinds.includes(key.slice(0, key.indexOf('/'))))) continue;
      this.stale.add(name);
      touched = true;
    }
    return touched;
  }

  /** All of it is to be read anew: for some of it time is enough to change it. */
  forget(): void {
    for (const name of SOURCE_NAMES) this.stale.add(name);
  }

  async read(now: number): Promise<Content> {
    for (const name of [...this.stale]) await this.readOne(name, now);
    return this.content as Content;
  }

  private async readOne<Name extends SourceName>(name: Name, now: number): Promise<void> {
    // First: what changes while it is read is read once more.
    this.stale.delete(name);
    try {
      this.content[name] = (await this.sources[name].read(now)) as Content[Name];
    } catch (error) {
      this.stale.add(name);
      throw error;
    }
  }
}
