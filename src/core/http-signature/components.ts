/** What a request proof covers, and the octets that are signed (RFC 9421 §2; SPEC.md section 12.1). */
import { deny, grant, type Verdict } from '../verdict.ts';

/** A request as its octets say it; values as received, each header once. */
export interface SignedRequest {
  readonly method: string;
  /** `Host`, or `:authority`. */
  readonly authority: string;
  /** In origin form, with its query. */
  readonly target: string;
  /** Values of the headers of {@link SIGNED_FIELDS} that are there, by name in lower case. */
  readonly fields: ReadonlyMap<string, string>;
}

/** Of every request. */
const DERIVED = ['@method', '@authority', '@request-target'] as const;

/**
 * Each of these is signed when it is there: so one that was added shows as not covered, and one that was taken away as
 * covered and missing. WIT and channel have to be there (`verify.ts`).
 */
export const SIGNED_FIELDS = [
  'workload-identity-token',
  'hopgate-channel',
  'delegation-chain',
  'delegation-grant',
  'delegation-labels',
  'content-type',
  'content-digest',
  'authorization',
  'txn-token',
] as const;

/** What must be covered, no more and no less. */
export const coveredOf = ({ fields }: Pick<SignedRequest, 'fields'>): readonly string[] => [
  ...DERIVED,
  ...SIGNED_FIELDS.filter((name) => fields.has(name)),
];

const HOST = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?$/;
const VALUE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;

/** In lower case and without the port that https has anyway (RFC 9421 §2.2.3). */
const authorityOf = (host: string): string | undefined =>
  HOST.test(host) ? host.toLowerCase().replace(/:443$/, '') : undefined;

const componentValue = (
  name: string,
  { method, authority, target, fields }: SignedRequest,
): string | undefined => {
  if (name === '@method') return method;
  if (name === '@authority') return authorityOf(authority);
  return name === '@request-target' ? target : fields.get(name);
};

/**
 * The signature base: a line for each component in the order given, and the parameters as sent. Refuses with
 * `request_proof_components`.
 */
export const signatureBase = (
  request: SignedRequest,
  components: readonly string[],
  parameters: string,
): Verdict<Buffer> => {
  const must = coveredOf(request);
  const foreign = components.find((name) => !must.includes(name));
  const missing = must.find((name) => !components.includes(name));
  if (foreign !== undefined)
    return deny(
      'request_proof_components',
      `${foreign} is signed, and not there or nothing that a proof covers`,
    );
  if (missing !== undefined) return deny('request_proof_components', `${missing} is not signed`);
  const lines: string[] = [];
  for (const name of components) {
    const value = componentValue(name, request);
    // A line end in a value would be another component's line.
    if (value === undefined || !VALUE.test(value))
      return deny('request_proof_components', `${name} has no value that can be signed`);
    lines.push(`"${name}": ${value}`);
  }
  return grant(Buffer.from([...lines, `"@signature-params": ${parameters}`].join('\n'), 'latin1'));
};
