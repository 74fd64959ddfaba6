/** A sidecar's configuration file, read whole. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseConfig, type Source } from '../config/load.ts';
import { type SidecarConfig, sidecarSchema } from '../config/sidecar-schema.ts';

export interface ReadConfig {
  readonly source: Source<SidecarConfig>;
  /** base64url SHA-256 of the text. */
  readonly digest: string;
}

/** Throws a `ConfigError` with every fault, or what reading the file throws. */
export const readConfigFile = (file: string): ReadConfig => {
  const text = readFileSync(file);
  return {
    source: parseConfig(text.toString('utf8'), file, sidecarSchema),
    digest: createHash('sha256').update(text).digest('base64url'),
  };
};
