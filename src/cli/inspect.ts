/** `hopgate inspect`: what a signed object says, and whether it holds. */
import { parseStrictObjectText } from '../core/encoding/json.ts';
import { type JwsType, parseJws } from '../core/encoding/jws.ts';
import { MAX_BUNDLE_BYTES } from '../core/limits.ts';
import { deny } from '../core/verdict.ts';
import { type Command, CommandError, EXIT, type ExitCode } from './command.ts';
import { usageError, withFaultLines } from './command-faults.ts';
import { inspectBundle } from './inspect-bundle.ts';
import { inspectChain } from './inspect-chain.ts';
import { inspectJwk, inspectKeyBinding, inspectSvid, inspectWit } from './inspect-credential.ts';
import { type Inspection, printInspection, unreadable, unverified } from './inspection.ts';
import { type KnownTrust, readTrust, TRUST_OPTIONS, type TrustOptions } from './known-trust.ts';
import { readSmallFile } from './standard-input.ts';
import { nowSeconds } from './time-words.ts';
import { connectVerifier, isVerifierNear, VERIFIER_OPTIONS } from './verifier-connection.ts';
import { atVerifier } from './verifier-refusals.ts';
import { fetchTrust } from './verifier-trust.ts';

interface InspectOptions extends TrustOptions {
  readonly file: string;
  readonly verifier: string | undefined;
  readonly json: boolean;
}

export const command: Command = {
  name: 'inspect <file>',
  describe: 'Explain a chain, WIT, bundle, key binding or SVID, and say whether it holds',
  options: (yargs) =>
    yargs
      .positional('file', { type: 'string', demandOption: true, describe: 'A file, or - for stdin' })
      .options(TRUST_OPTIONS)
      .option('verifier', VERIFIER_OPTIONS.verifier)
      .option('json', { type: 'boolean', default: false, describe: 'One JSON object' })
      .example(
        '$0 inspect task.chain',
        'link by link, verified as a sidecar of the verifier in ./verifier would',
      )
      .example('$0 inspect task.chain --dir mesh', 'the same, in a local trust domain')
      .example('$0 inspect mesh/agents/planning-1/wit.jwt --dir mesh', 'who an agent is')
      .example('$0 inspect bundle.jws --root="$ROOT"', 'what a bundle trusts')
      .example('pbpaste | $0 inspect - --json', 'from stdin, for programs')
      .epilogue('Exit code 1 when it is not valid. Keys and signatures are never shown.'),
  run: (options) => withFaultLines(() => run(options as unknown as InspectOptions)),
};

const MAX_FILE_BYTES = MAX_BUNDLE_BYTES + 1024;

const run = async (options: InspectOptions): Promise<ExitCode> => {
  const now = nowSeconds();
  const text = await readSmallFile(options.file, MAX_FILE_BYTES);
  if (text.startsWith('-----BEGIN') && text.includes('PRIVATE KEY-----'))
    throw new CommandError(`${options.file} is a private key; nothing of it is shown`);
  const inspection = inspect(text, options.file, await trustFor(options, now), now);
  printInspection(inspection, options.json);
  return inspection.result.ok ? EXIT.ok : EXIT.refused;
};

const TYPE = /"typ":"([a-z+-]{1,16})"/;

/** The `typ` that the first header claims; the parser of that type decides whether it is so. */
const claimedType = (text: string): string | undefined =>
  TYPE.exec(Buffer.from(text.slice(0, text.indexOf('.')), 'base64url').toString('latin1'))?.[1];

/** What is named; or what the verifier says that is named, or stands in ./verifier. */
const trustFor = async (options: InspectOptions, now: number): Promise<KnownTrust> => {
  const { dir, bundle, root, policy, verifier } = options;
  const isNamed = [dir, bundle, root, policy].some((one) => one !== undefined);
  if (isNamed && verifier !== undefined)
    throw usageError(
      '--verifier goes without --dir, --bundle, --root and --policy: all of it comes from there',
    );
  // Over HTTPS a verifier answers those alone who say who they are; looking at a file shouldn't need that.
  const isRemote = verifier === undefined && process.env.HOPGATE_VERIFIER?.startsWith('https://') === true;
  if (isNamed || isRemote || !isVerifierNear({ verifier })) return readTrust(options, now);
  const client = connectVerifier({ verifier });
  try {
    return await atVerifier(() => fetchTrust(client, now));
  } finally {
    await client.close();
  }
};

const inspect = (text: string, file: string, trust: KnownTrust, now: number): Inspection => {
  if (text.startsWith('-----BEGIN CERTIFICATE-----')) return inspectSvid(text, trust, now);
  if (text.startsWith('{')) return inspectJson(text, file, trust, now);
  switch (claimedType(text)) {
    case 'dlink+jwt':
      return inspectChain(text, trust, now);
    case 'wit+jwt':
      return inspectWit(text, trust, now);
    case 'bundle+jwt':
      return inspectBundle(text, trust, now);
    case 'roles+jwt':
    case 'audit-cp+jwt':
    case 'hs-i+jwt':
    case 'hs-r+jwt':
    case 'hop+jwt':
      return inspectOther(text, claimedType(text) as JwsType);
    default:
      return unreadable(
        'unknown',
        deny(
          'jws_header',
          'neither a chain, WIT, bundle, key binding, SVID nor another signed object of the protocol',
        ),
      );
  }
};

const inspectJson = (text: string, file: string, trust: KnownTrust, now: number): Inspection => {
  const object = parseStrictObjectText(text);
  if (!object.ok) return unreadable('unknown', object);
  return object.value.kty === undefined
    ? inspectKeyBinding(object.value, file, trust, now)
    : inspectJwk(object.value);
};

/** Members that hold a key or a signed object, which would show more than it tells. */
const HIDDEN = new Set(['root', 'policy', 'cnf', 'roles', 'wit']);

/** Objects that mean something only where they were exchanged: a handshake, a log, a request to an agent. */
const inspectOther = (text: string, type: JwsType): Inspection => {
  const jws = parseJws(text, type);
  if (!jws.ok) return unreadable(type, jws);
  const claims = Object.entries(jws.value.payload).filter(([name]) => !HIDDEN.has(name));
  return {
    kind: type,
    sections: [
      {
        heading: type,
        rows: claims.map(([name, value]) => [
          name,
          typeof value === 'string' ? value : JSON.stringify(value),
        ]),
      },
    ],
    result: unverified('an object of this type means something only where it was exchanged'),
    notes: [],
    data: { claims: Object.fromEntries(claims) },
  };
};
