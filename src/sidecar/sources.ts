/** Files, or the verifier: which of the two brings trust and identity, by the configuration. */
import type { SidecarIdentity } from '../edge/store/identity-files.ts';
import type { VerifierLink } from '../edge/verifier/verifier-link.ts';
import type { Evidence } from './evidence.ts';
import { FileSource } from './file-source.ts';
import { Reporter } from './reporter.ts';
import type { Source, SourceOptions } from './source.ts';
import { VerifierSource } from './verifier-source.ts';

export interface SourceNeeds {
  /** Undefined without a verifier, to whom nothing is told then. */
  readonly evidence: Evidence | undefined;
  readonly version: string;
  readonly identity: () => SidecarIdentity;
  /** Seconds: until then something rests on the last rotation of the agent key. */
  readonly rotationBusyUntil: () => number;
}

export interface MadeSource {
  readonly source: Source;
  readonly reporter: Reporter | undefined;
  readonly link: VerifierLink | undefined;
}

export const makeSource = (
  options: SourceOptions,
  { evidence, version, identity, rotationBusyUntil }: SourceNeeds,
): MadeSource => {
  if (evidence === undefined)
    return { source: new FileSource(options), reporter: undefined, link: undefined };
  const source = new VerifierSource({ ...options, rotationBusyUntil });
  const { link, trust } = source;
  const { clock, log } = options;
  return { source, link, reporter: new Reporter({ link, trust, evidence, identity, version, clock, log }) };
};
