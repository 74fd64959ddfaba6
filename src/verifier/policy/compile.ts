/** A policy's text to what bundles carry: checked as the command line checks it, and as a sidecar will read it. */
import { ConfigError } from '../../config/load.ts';
import { parsePolicy } from '../../config/policy.ts';
import type { JsonObject } from '../../core/encoding/json.ts';
import { MAX_POLICY_BYTES } from '../../core/limits.ts';
import type { Policy } from '../../core/policy/model.ts';
import { readPolicy } from '../../core/policy/read.ts';
import { policyDigest } from '../../core/trust/bundle-contents.ts';
import { deny, grant, type Verdict } from '../../core/verdict.ts';

export interface CompiledText {
  readonly policy: Policy;
  /** Plain JSON: what a bundle carries. */
  readonly json: JsonObject;
  readonly digest: string;
}

/** Refuses with `policy_invalid`; the detail has a line for each fault, with the file's name, line and column. */
export const compileText = (source: string, file: string): Verdict<CompiledText> => {
  let parsed: Policy;
  try {
    parsed = parsePolicy(source, file);
  } catch (error) {
    if (error instanceof ConfigError) return deny('policy_invalid', error.message);
    throw error;
  }
  // Members that are undefined are left out, as in any JSON.
  const text = JSON.stringify(parsed);
  if (text.length > MAX_POLICY_BYTES)
    return deny(
      'policy_invalid',
      `${file}: more than ${MAX_POLICY_BYTES} octets as JSON: a bundle has no room for it`,
    );
  const json = JSON.parse(text) as JsonObject;
  const read = readPolicy(json);
  if (!read.ok) return deny('policy_invalid', `${file}: sidecars would refuse it: ${read.detail}`);
  return grant({ policy: read.value, json, digest: policyDigest(json) });
};
