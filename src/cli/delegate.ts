/** `hopgate delegate`: a principal's key makes the first link of a chain. */
import { type VerifiedChain, verifyChain } from '../core/delegation/chain.ts';
import { mintRootLink } from '../core/delegation/mint.ts';
import { expandScope } from '../core/delegation/scope.ts';
import { admitKey } from '../core/keys.ts';
import { deny, grant, type Verdict } from '../core/verdict.ts';
import type { SigningKey } from '../edge/keys/signing-key.ts';
import { writeFilesAtomic } from '../edge/store/atomic-file.ts';
import { makeTokenId } from '../verifier/authority/tokens.ts';
import { type Command, CommandError, EXIT, type ExitCode } from './command.ts';
import { usageError, withFaultLines } from './command-faults.ts';
import { APPROVAL_OPTION, EACH_REQUEST } from './delegate-approval.ts';
import { delegateAtVerifier, isAtVerifier, type Minted } from './delegate-at-verifier.ts';
import { delegateHint } from './delegate-hints.ts';
import {
  audOf,
  type DelegateOptions,
  delegateeOf,
  depthOf,
  principalOf,
  purposeOf,
  readCaveats,
  readDelegateeKey,
  readPrincipalKey,
  ttlOf,
} from './delegate-inputs.ts';
import { chainContext, checkStanding, type KnownTrust, readTrust, TRUST_OPTIONS } from './known-trust.ts';
import { LOGIN_OPTIONS } from './log-in.ts';
import { nextTaskStart } from './next-delegation.ts';
import { print, printError, printJson } from './terminal.ts';
import { describeExpiry, formatTime, nowSeconds } from './time-words.ts';
import { VERIFIER_OPTIONS } from './verifier-connection.ts';
import { atVerifier } from './verifier-refusals.ts';

export const command: Command = {
  name: 'delegate',
  describe: 'Delegate to an agent, with a principal’s key or after a login: the beginning of a chain',
  options: (yargs) =>
    yargs
      .options(TRUST_OPTIONS)
      .option('verifier', VERIFIER_OPTIONS.verifier)
      .option('as', {
        type: 'string',
        requiresArg: true,
        describe:
          'With a verifier: key file (alice, for alice.key) or folder of a session; with --dir: a principal’s name',
      })
      .option('oidc', {
        type: 'boolean',
        default: false,
        describe: 'Log in at the company’s identity provider, in place of --as',
      })
      .options(LOGIN_OPTIONS)
      .option('identity', {
        type: 'string',
        requiresArg: true,
        describe:
          'With --verifier https://…: folder of the identity that asks it; a session’s own unless said',
      })
      .option('key', {
        type: 'string',
        requiresArg: true,
        describe: 'The principal’s private key, PEM (PKCS#8), in place of --as',
      })
      .option('principal', {
        type: 'string',
        requiresArg: true,
        describe: 'The principal’s URI, if the bundle doesn’t tell it from the key',
      })
      .option('to', {
        type: 'string',
        requiresArg: true,
        demandOption: true,
        describe: 'The agent: its SPIFFE ID, or TYPE/INSTANCE in the trust domain',
      })
      .option('to-key', {
        type: 'string',
        requiresArg: true,
        describe: 'Its public agent key (JWK file), if it isn’t in --dir',
      })
      .option('scope', {
        type: 'string',
        array: true,
        nargs: 1,
        demandOption: true,
        describe: 'Scope pattern, or scope set of the policy; repeatable',
      })
      .option('ttl', { type: 'string', requiresArg: true, default: '1h', describe: 'How long it holds' })
      .option('depth', {
        type: 'number',
        requiresArg: true,
        default: 3,
        describe: 'Longest chain through this link; 1: the agent can’t delegate',
      })
      .option('aud', {
        type: 'string',
        array: true,
        nargs: 1,
        describe: 'Trust domain in which it holds; repeatable  [default: the agent’s]',
      })
      .option('purpose', { type: 'string', requiresArg: true, describe: 'For people; gives no authority' })
      .option('caveat', {
        type: 'string',
        array: true,
        nargs: 1,
        describe: 'A further condition, JSON; repeatable',
      })
      .options(APPROVAL_OPTION)
      .option('out', { type: 'string', requiresArg: true, describe: 'Write the chain here (mode 0600)' })
      .option('json', { type: 'boolean', default: false, describe: 'One JSON object' })
      .conflicts('as', 'key')
      .example(
        '$0 delegate --as alice --to planning/1 --scope infrastructure:review --out task.chain',
        'with alice.key, at the verifier in ./verifier',
      )
      .example(
        '$0 delegate --oidc --to planning/1 --scope infrastructure:review --out task.chain',
        'log in in a browser; the chain goes through a session of your own',
      )
      .example(
        '$0 delegate --dir mesh --as alice --to planning/1 --scope infrastructure:review --out task.chain',
        'by name, in a local trust domain',
      )
      .example(
        '$0 delegate --dir mesh --as alice --to planning/1 --scope "ec2:Describe*" --ttl 15m --depth 1',
        'for a quarter of an hour, not to be passed on; the chain goes to stdout',
      )
      .example(
        `$0 delegate --dir mesh --as alice --to planning/1 --scope cloud:read --caveat '{"type":"resource","paths":["/reports"]}'`,
        'only for what lies below /reports',
      )
      .example(
        '$0 delegate --key alice.key --bundle bundle.jws --root="$ROOT" --to spiffe://company.com/agent/planning/1 --to-key agent.pub.json --scope cloud:read',
        'from single files',
      ),
  run: (options) => withFaultLines(() => run(options as unknown as DelegateOptions)),
};

const run = async (options: DelegateOptions): Promise<ExitCode> => {
  const now = nowSeconds();
  const { trust, anchor, result: minted } = await mintWhere(options, now);
  if (!minted.ok) {
    const hint = delegateHint(minted.reason, trust, anchor);
    if (!options.json)
      throw new CommandError(`${minted.reason}: ${minted.detail}${hint === undefined ? '' : `\n${hint}`}`);
    printJson({ ok: false, reason: minted.reason, detail: minted.detail, ...(hint && { hint }) });
    return EXIT.refused;
  }
  const { text, chain } = minted.value;
  if (options.out !== undefined) writeFilesAtomic([{ file: options.out, content: `${text}\n` }]);
  report(options, text, chain, now);
  return EXIT.ok;
};

const mintWhere = async (
  options: DelegateOptions,
  now: number,
): Promise<Omit<Minted, 'trust'> & { readonly trust: KnownTrust }> => {
  if (isAtVerifier(options)) return atVerifier(() => delegateAtVerifier(options));
  if (options.approval !== undefined && options.approval !== EACH_REQUEST)
    throw usageError('--approval ID needs a verifier, where the approval was given');
  const trust = readTrust(options, now);
  const key = readPrincipalKey(options, trust);
  return { trust, anchor: key.thumbprint, result: mint(options, trust, key, now) };
};

const report = (
  { json, out, dir }: DelegateOptions,
  text: string,
  chain: VerifiedChain,
  now: number,
): void => {
  const { leaf, principal, task } = chain;
  if (json) {
    printJson({
      ok: true,
      ...(out === undefined ? { chain: text } : { out }),
      link: leaf.id,
      task,
      principal,
      delegatee: leaf.delegatee,
      scope: leaf.scope,
      maxDepth: leaf.maxDepth,
      issued: formatTime(leaf.iat),
      expires: formatTime(leaf.exp),
    });
    return;
  }
  // The chain alone on stdout, so that it can be piped.
  if (out === undefined) print(text);
  printError(
    `${principal} → ${leaf.delegatee}: ${leaf.scope.join(' ')}; chains of up to ${leaf.maxDepth}; ${describeExpiry(leaf.exp, now)}`,
  );
  if (out === undefined) return;
  const next = nextTaskStart(out, leaf.delegatee, dir);
  printError(`written to ${out}; look at it with "hopgate inspect ${out}"`);
  if (next !== undefined) printError(`Next, give it to the agent:\n  ${next}`);
};

const mint = (
  options: DelegateOptions,
  trust: KnownTrust,
  key: SigningKey,
  now: number,
): Verdict<{ readonly text: string; readonly chain: VerifiedChain }> => {
  const { bundle } = trust;
  if (bundle === undefined) throw usageError('what would a sidecar say? Name --dir, or --bundle with --root');
  if (!bundle.ok) return bundle;
  const id = delegateeOf(options, trust);
  const x = readDelegateeKey(options, trust, id);
  const names = expandScope([...new Set(options.scope)], trust.policy?.scopeSets ?? {});
  if ('fault' in names) return deny('scope_invalid', names.fault);
  const caveats = readCaveats(options.caveat ?? [], now);
  if (!caveats.ok) return caveats;
  const admitted = admitKey(x);
  if (!admitted.ok) return admitted;
  const text = mintRootLink(
    {
      anchorX: key.x,
      principal: principalOf(options, trust, key, bundle.value),
      delegatee: { id, x },
      aud: audOf(options, id),
      scope: names.patterns,
      maxDepth: depthOf(options),
      ttlSeconds: ttlOf(options),
      now,
      jti: makeTokenId(),
      caveats: caveats.value,
      ...purposeOf(options, trust),
    },
    key.sign,
  );
  if (!text.ok) return text;
  const chain = verifyChain(
    text.value,
    { id, key: admitted.value },
    chainContext(bundle.value, trust.policy, now),
  );
  if (!chain.ok) return chain;
  return (
    checkStanding(chain.value, bundle.value, trust.policy) ?? grant({ text: text.value, chain: chain.value })
  );
};
