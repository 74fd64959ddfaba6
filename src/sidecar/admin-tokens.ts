/** Who may call the admin port: bearers of a token from a file. What is bad in the file is left as it was, and said. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { SidecarConfig } from '../config/sidecar-schema.ts';
import { watchFiles } from '../edge/store/watched-files.ts';
import type { Logger } from '../edge/telemetry/log.ts';

/** `operator`: every call. `job`: `POST /quit`. */
export type AdminRole = 'operator' | 'job';

export const tokenFiles = (
  { admin }: SidecarConfig,
  fileAt: (name: string) => string,
): ReadonlyMap<AdminRole, string> => {
  const files = new Map<AdminRole, string>();
  if (admin.tokenFile !== undefined) files.set('operator', fileAt(admin.tokenFile));
  if (admin.quitTokenFile !== undefined) files.set('job', fileAt(admin.quitTokenFile));
  return files;
};

const TOKEN = /^[\x21-\x7e]{32,512}$/;
const BEARER = /^Bearer ([\x21-\x7e]{1,512})$/i;

const digestOf = (token: string): Buffer => createHash('sha256').update(token).digest();

/** Throws with a sentence about the file. */
const readToken = (file: string): Buffer => {
  const token = readFileSync(file, 'utf8').trim();
  if (!TOKEN.test(token))
    throw new Error(
      `${file}: is no token of 32 to 512 printable characters without blanks; make one with "openssl rand -hex 32"`,
    );
  return digestOf(token);
};

export class AdminTokens {
  private readonly files: ReadonlyMap<AdminRole, string>;
  private readonly log: Logger;
  private digests: ReadonlyMap<AdminRole, Buffer>;
  private stopWatching = (): void => undefined;

  /** Throws with a sentence about the file at fault. */
  constructor(files: ReadonlyMap<AdminRole, string>, log: Logger) {
    this.files = files;
    this.log = log;
    this.digests = this.read();
  }

  private read(): ReadonlyMap<AdminRole, Buffer> {
    return new Map([...this.files].map(([role, file]) => [role, readToken(file)]));
  }

  watch(): void {
    this.stopWatching = watchFiles([...this.files.values()], () => {
      try {
        this.digests = this.read();
        this.log.info('admin tokens read again');
      } catch (error) {
        this.log.error({ fault: (error as Error).message }, 'admin tokens are kept as they were');
      }
    });
  }

  stop(): void {
    this.stopWatching();
  }

  /** By the whole `Authorization` header. Takes the same time for every token that is none. */
  roleOf(authorization: string | undefined): AdminRole | undefined {
    const given = digestOf(BEARER.exec(authorization ?? '')?.[1] ?? '');
    let role: AdminRole | undefined;
    for (const [name, digest] of this.digests) if (timingSafeEqual(given, digest)) role ??= name;
    return role;
  }
}
