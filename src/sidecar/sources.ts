/** Files, or the verifier: which of the two brings trust and identity, by the configuration. The other one is not loaded. */
import type { SidecarConfig } from '../config/sidecar-schema.ts';
import type { SidecarIdentity } from '../edge/store/identity-files.ts';
import type { VerifierLink } from '../edge/verifier/verifier-link.ts';
import type { Evidence } from './evidence.ts';
import type { Reporter } from './reporter.ts';
import type { Source, SourceOptions } from './source.ts';

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

export type MakeSource = (options: SourceOptions, needs: SourceNeeds) => MadeSource;

const loadFiles = async (): Promise<MakeSource> => {
  const { FileSource } = await import('./file-source.ts');
  return (options) => ({ source: new FileSource(options), reporter: undefined, link: undefined });
};

const loadVerifier = async (): Promise<MakeSource> => {
  const { VerifierSource } = await import('./verifier-source.ts');
  const { Reporter } = await import('./reporter.ts');
  return (options, { evidence, version, identity, rotationBusyUntil }) => {
    const source = new VerifierSource({ ...options, rotationBusyUntil });
    const { link, trust } = source;
    const { clock, log } = options;
    const reporter = evidence && new Reporter({ link, trust, evidence, identity, version, clock, log });
    return { source, link, reporter };
  };
};

export const loadSource = ({ trust }: SidecarConfig): Promise<MakeSource> =>
  trust.verifier === undefined ? loadFiles() : loadVerifier();
