/** Trust and identity from files, read again when they change; what is bad is left as it was, and said. */
import { parsePolicy } from '../config/policy.ts';
import type { SidecarConfig } from '../config/sidecar-schema.ts';
import { type IdentityFileNames, loadIdentity, type SidecarIdentity } from '../edge/store/identity-files.ts';
import { TrustFiles } from '../edge/store/trust-files.ts';
import { watchFiles } from '../edge/store/watched-files.ts';
import type { Source, SourceOptions } from './source.ts';

const namesIn = ({ identity }: SidecarConfig, fileAt: (name: string) => string): IdentityFileNames => {
  const at = (name: string | undefined): string => fileAt(name ?? '');
  return {
    svid: at(identity.svid),
    svidKey: at(identity.svidKey),
    agentKey: at(identity.agentKey),
    auditKey: at(identity.auditKey),
    wit: at(identity.wit),
    keyBinding: at(identity.keyBinding),
  };
};

export class FileSource implements Source {
  readonly trust: TrustFiles;
  readonly approvals = undefined;
  readonly state = undefined;
  private readonly options: SourceOptions;
  private readonly files: { readonly bundle: string; readonly policy: string };
  private readonly identityFiles: IdentityFileNames;
  private identity: SidecarIdentity;
  private stopWatching = (): void => undefined;

  /** Throws with a sentence about the file at fault. */
  constructor(options: SourceOptions) {
    this.options = options;
    const { config, fileAt, clock, stateDirectory } = options;
    this.files = { bundle: fileAt(config.trust.bundle ?? ''), policy: fileAt(config.policy ?? '') };
    this.identityFiles = namesIn(config, fileAt);
    this.trust = new TrustFiles({
      files: { ...this.files, order: `${stateDirectory}/bundle-order.json` },
      trustDomain: config.trust.trustDomain,
      root: config.trust.root,
      clock,
      parsePolicy,
    });
    this.identity = this.readIdentity();
    options.onIdentity(this.identity);
  }

  private readIdentity(): SidecarIdentity {
    const now = Math.floor(this.options.clock.now() / 1000);
    return loadIdentity(this.identityFiles, this.trust.last.bundle, now);
  }

  clockFacts(): undefined {
    return undefined;
  }

  async open(): Promise<boolean> {
    return true;
  }

  start(): void {
    const files = [...Object.values(this.identityFiles), this.files.bundle, this.files.policy];
    this.stopWatching = watchFiles(files, () => this.reload());
  }

  reload(): void {
    const { log } = this.options;
    for (const fault of this.trust.reload())
      log.error({ fault }, 'reload refused; the last good one is kept');
    try {
      this.replace(this.readIdentity());
    } catch (error) {
      log.error({ fault: (error as Error).message }, 'reload refused; the last good identity is kept');
    }
    // Also when the identity stayed: the bundle's CAs may be others.
    this.options.onTls();
    const { bundleName, policy } = this.trust.last;
    log.info({ policy: policy.policy.revision, bundle: bundleName }, 'reloaded');
  }

  private replace(identity: SidecarIdentity): void {
    const { id, wit, certificate, kb } = this.identity;
    // The log is this agent's: another one starts another sidecar.
    if (identity.id !== id) throw new Error(`the files now name ${identity.id}, this sidecar is ${id}`);
    if (identity.wit === wit && identity.certificate === certificate && identity.kb.sig === kb.sig) return;
    this.identity = identity;
    this.options.onIdentity(identity);
    this.options.log.info(
      { id: identity.id, svidExpires: identity.svidNotAfter, witExpires: identity.witExp },
      'identity renewed',
    );
  }

  async rotateKey(): Promise<void> {
    throw new RangeError('the agent key stands in a file: who wrote it there replaces it');
  }

  stop(): void {
    this.stopWatching();
  }
}
