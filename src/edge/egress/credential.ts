/** What a request to a destination is authenticated with: the agent never holds it. */
import { readFileSync, statSync } from 'node:fs';
import type { CredentialConfig } from '../../config/egress-schema.ts';
import { deny, grant, type Verdict } from '../../core/verdict.ts';
import type { Logger } from '../telemetry/log.ts';

export interface Credential {
  /** Lower case. */
  readonly header: string;
  readonly value: string;
  /** The secret in it, without its scheme. */
  readonly secret: string;
}

export interface CredentialSource {
  /** Refuses with `egress_credential`; never rejects. */
  get(): Promise<Verdict<Credential>>;
  /** The destination did not take it: another is got for the next request, where there may be one. */
  refused(credential: Credential): void;
}

const SECRET = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;
const MAX_SECRET = 8192;
/** What is shorter could stand anywhere in an answer by chance, and is no secret. */
const MIN_SECRET = 8;

/** Whether a text can stand in a header and be told from other text. */
export const isSecret = (text: string): boolean =>
  text.length >= MIN_SECRET && text.length <= MAX_SECRET && SECRET.test(text);

export const credentialOf = (
  {
    header,
    scheme = header === 'authorization' ? 'Bearer' : '',
  }: Pick<CredentialConfig, 'header' | 'scheme'>,
  secret: string,
): Credential => ({ header, value: scheme === '' ? secret : `${scheme} ${secret}`, secret });

/** The refusal, which an agent may see: what is wrong with which file is for the operator's log. */
export const noCredential = (destination: string) =>
  deny('egress_credential', `the credential for ${destination} can't be had; the sidecar's log says why`);

export interface SourceOptions {
  readonly destination: string;
  readonly config: CredentialConfig;
  readonly fileAt: (name: string) => string;
  readonly log: Logger;
}

/** A file of one line, read again when it changes. */
export class FileCredential implements CredentialSource {
  private readonly options: SourceOptions & { readonly file: string };
  private known: { readonly mark: string; readonly credential: Credential } | undefined;
  /** What was logged last, so that a fault is said once and not with each request. */
  private fault = '';

  constructor(options: SourceOptions & { readonly file: string }) {
    this.options = options;
  }

  get(): Promise<Verdict<Credential>> {
    return Promise.resolve(this.read());
  }

  refused(): void {
    this.known = undefined;
  }

  private read(): Verdict<Credential> {
    const { file, config } = this.options;
    try {
      const { mtimeMs, size, ino } = statSync(file);
      const mark = `${mtimeMs} ${size} ${ino}`;
      if (this.known?.mark === mark) return grant(this.known.credential);
      this.known = undefined;
      const secret = size > 2 * MAX_SECRET ? '' : readFileSync(file, 'utf8').trim();
      if (!isSecret(secret))
        return this.refuse('holds no credential: one line of 8 to 8192 printable characters');
      const credential = credentialOf(config, secret);
      this.known = { mark, credential };
      this.fault = '';
      return grant(credential);
    } catch (error) {
      this.known = undefined;
      return this.refuse(`can't be read: ${(error as NodeJS.ErrnoException).code ?? 'no code'}`);
    }
  }

  private refuse(fault: string): Verdict<Credential> {
    const { destination, file, log } = this.options;
    if (fault !== this.fault) log.warn({ destination, file, fault }, 'a credential can’t be used');
    this.fault = fault;
    return noCredential(destination);
  }
}
