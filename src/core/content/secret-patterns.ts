/** The `secrets` detector: keys and tokens by the form that their issuer gives them, and values behind names that say what they are. */
import { foldText } from './fold.ts';
import type { PatternSpec } from './pattern-set.ts';
import { isJwtHead, isNoExample, isUrlPassword, looksLikePassword, looksRandom } from './validators.ts';

/** What is particular of it, and what follows; without the former the latter is not looked for. */
const form = (id: string, mark: string, rest: string, isReal = isNoExample): PatternSpec => ({
  id: `secrets/${id}`,
  // Not in the middle of a word: base64 has every form in it sooner or later.
  source: `(?:^|[^A-Za-z0-9_])((?:${mark})${rest})`,
  needs: [mark],
  caseMatters: true,
  isReal,
});

/** The same where what is particular stands within. */
const around = (id: string, before: string, mark: string, rest: string): PatternSpec => ({
  ...form(id, mark, rest),
  source: `(?:^|[^A-Za-z0-9_])(${before}${mark}${rest})`,
});

const named = (id: string, names: string, value: string, isReal: (text: string) => boolean): PatternSpec => {
  // `name = "value"`, `"name": "value"`, `name: value`, `NAME=value`, `name is value`
  const name = `(?:${names})[ "'\\x60\\n\\])]*(?::=|=>|[:=]|,? (?:is|to|as)[ :])`;
  return { id: `secrets/${id}`, source: `${name}[ "'\\x60\\n(]*(${value})`, needs: [name], isReal };
};

const SECRET_NAMES =
  '(?:api|app|auth|access|secret|private|signing|encryption|client|service|account|master|storage|webhook|session|refresh|bearer|deploy)[ _.-]?(?:api[ _.-]?)?(?:key|token|secret)(?:[ _.-]?(?:id|key|value|v?[0-9]))?|x-auth|secret|token|credentials?';
const PASSWORD_NAMES = foldText(
  'passw(?:or)?d|passphrase|pwd|passwort|kennwort|contrasena|mot de passe|senha|wachtwoord|haslo|parola|пароль|密码|パスワード|비밀번호',
);

export const SECRETS: readonly PatternSpec[] = [
  form('private-key', '-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----', ''),
  form('putty-key', 'PuTTY-User-Key-File-[23]:', ''),
  form('age-key', 'AGE-SECRET-KEY-1', '[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}'),
  form('aws-access-key', 'AKIA|ASIA|ABIA|ACCA', '[A-Z2-7]{16}'),
  {
    id: 'secrets/aws-secret-key',
    source: `aws.{0,20}(?:secret|access|private).{0,24}[^A-Za-z0-9/+]([A-Za-z0-9/+]{40})(?:$|[^A-Za-z0-9/+])`,
    needs: ['aws', '(?:secret|access|private)'],
    isReal: looksRandom,
  },
  form('google-api-key', 'AIza', '[A-Za-z0-9_-]{35}'),
  form('google-oauth', 'ya29\\.', '[A-Za-z0-9_-]{30}'),
  form('google-oauth-secret', 'GOCSPX-', '[A-Za-z0-9_-]{28}'),
  form('azure-storage-key', 'AccountKey=', '[A-Za-z0-9+/]{86}=='),
  form('azure-sas', 'sig=', '[A-Za-z0-9%+/]{43,60}(?:%3D|=)'),
  around('azure-client-secret', '[A-Za-z0-9_~.-]{3}', '8Q~', '[A-Za-z0-9_~.-]{34}'),
  form('github-token', 'gh[pousr]_', '[A-Za-z0-9]{36}'),
  form('github-fine-token', 'github_pat_', '[A-Za-z0-9]{22}_[A-Za-z0-9]{59}'),
  form('gitlab-token', 'gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent)-', '[A-Za-z0-9_-]{20}'),
  form('bitbucket-token', 'ATBB', '[A-Za-z0-9]{24}'),
  form('atlassian-token', 'ATATT3', '[A-Za-z0-9_=-]{60}'),
  form('slack-token', 'xox[abeoprs]-', '(?:[A-Za-z0-9]{1,14}-){1,4}[A-Za-z0-9]{8}'),
  form('slack-app-token', 'xapp-[0-9]-', '[A-Z0-9]{8,14}-[0-9]{8,16}-[a-f0-9]{32}'),
  form('slack-webhook', 'https://hooks\\.slack\\.com/(?:services|workflows|triggers)/', '[A-Za-z0-9_/]{20}'),
  around('discord-token', '[MNO][A-Za-z0-9_-]{23,27}', '\\.[A-Za-z0-9_-]{6}\\.', '[A-Za-z0-9_-]{27}'),
  form(
    'discord-webhook',
    'https://(?:ptb\\.|canary\\.)?discord(?:app)?\\.com/api/webhooks/',
    '[0-9]{17,20}/[A-Za-z0-9_-]{60}',
  ),
  around(
    'teams-webhook',
    'https://[a-z0-9-]{1,40}',
    '\\.webhook\\.office\\.com/webhookb2/',
    '[a-f0-9@-]{70,80}/IncomingWebhook/[a-f0-9]{32}',
  ),
  around('telegram-token', '[0-9]{8,10}', ':AA', '[A-Za-z0-9_-]{33}'),
  form('stripe-key', '[sr]k_(?:live|test)_', '[A-Za-z0-9]{16}'),
  form('stripe-webhook', 'whsec_', '[A-Za-z0-9+/]{32}'),
  form('square-token', 'EAAA|sq0(?:atp|csp)-', '[A-Za-z0-9_-]{22}'),
  form('paypal-token', 'access_token\\$(?:production|sandbox)\\$', '[a-z0-9]{16}\\$[a-f0-9]{32}'),
  form('shopify-token', 'shp(?:at|ca|pa|ss)_', '[a-fA-F0-9]{32}'),
  form('twilio-key', '(?:SK|AC)[a-f0-9][a-f0-9][a-f0-9][a-f0-9]', '[a-f0-9]{28}(?:$|[^A-Za-z0-9])'),
  form('sendgrid-key', 'SG\\.', '[A-Za-z0-9_-]{22}\\.[A-Za-z0-9_-]{43}'),
  form('mailgun-key', 'key-[a-f0-9][a-f0-9][a-f0-9][a-f0-9]', '[a-f0-9]{28}(?:$|[^A-Za-z0-9])'),
  around('mailchimp-key', '[a-f0-9]{32}', '-us[0-9]', '[0-9]?'),
  form('openai-key', 'sk-(?:proj|svcacct|admin|None)-', '[A-Za-z0-9_-]{40}'),
  form(
    'openai-key',
    'sk-[A-Za-z0-9][A-Za-z0-9][A-Za-z0-9][A-Za-z0-9]',
    '[A-Za-z0-9]{16,44}(?:T3BlbkFJ[A-Za-z0-9]{20}|[A-Za-z0-9]{20})',
  ),
  form('anthropic-key', 'sk-ant-(?:api|admin|oat|sid)[0-9][0-9]-', '[A-Za-z0-9_-]{80}'),
  form('openrouter-key', 'sk-or-v1-', '[a-f0-9]{64}'),
  form('groq-key', 'gsk_', '[A-Za-z0-9]{52}'),
  form('xai-key', 'xai-', '[A-Za-z0-9]{80}'),
  form('perplexity-key', 'pplx-', '[A-Za-z0-9]{48}'),
  form('replicate-token', 'r8_', '[A-Za-z0-9]{37}'),
  form('huggingface-token', 'hf_|api_org_', '[A-Za-z]{34}'),
  form('langsmith-key', 'lsv2_(?:pt|sk)_', '[a-f0-9]{32}_[a-f0-9]{10}'),
  form('tavily-key', 'tvly-', '(?:dev-|prod-)?[A-Za-z0-9]{32}'),
  form('pinecone-key', 'pcsk_', '[A-Za-z0-9]{5,6}_[A-Za-z0-9]{60}'),
  form('npm-token', 'npm_', '[A-Za-z0-9]{36}'),
  form('pypi-token', 'pypi-AgE', '[A-Za-z0-9_-]{60}'),
  form('rubygems-key', 'rubygems_', '[a-f0-9]{48}'),
  form('crates-token', 'cio[A-Za-z0-9]', '[A-Za-z0-9]{31}(?:$|[^A-Za-z0-9])'),
  form('docker-token', 'dckr_(?:pat|oat)_', '[A-Za-z0-9_-]{27}'),
  form('digitalocean-token', 'do[opr]_v1_', '[a-f0-9]{64}'),
  form('heroku-key', 'HRKU-', '[A-Za-z0-9_-]{36}'),
  form('cloudflare-token', 'v1\\.0-[a-f0-9][a-f0-9]', '[a-f0-9]{22}-[a-f0-9]{146}'),
  form('fly-token', 'fm[12][ar]?_', '[A-Za-z0-9+/=_-]{80}'),
  form('vault-token', 'hv[sbr]\\.', '[A-Za-z0-9_-]{24}'),
  around('terraform-token', '[A-Za-z0-9]{14}', '\\.atlasv1\\.', '[A-Za-z0-9_-]{60}'),
  form('pulumi-token', 'pul-', '[a-f0-9]{40}'),
  form('databricks-token', 'dapi', '[a-f0-9]{32}'),
  form('sentry-token', 'sntry[su]_', '[A-Za-z0-9+/=_-]{40}'),
  form('newrelic-key', 'NRAK-|NRII-', '[A-Za-z0-9_-]{27}'),
  form('grafana-token', 'gl(?:sa|c)_', '[A-Za-z0-9+/=_]{32}'),
  form('postman-key', 'PMAK-', '[a-f0-9]{24}-[a-f0-9]{34}'),
  form('linear-key', 'lin_(?:api|oauth)_', '[A-Za-z0-9]{40}'),
  form('notion-key', 'ntn_|secret_', '[A-Za-z0-9]{43}'),
  form('figma-token', 'figd_', '[A-Za-z0-9_-]{40}'),
  around('airtable-token', 'pat[A-Za-z0-9]{14}', '\\.[a-f0-9][a-f0-9][a-f0-9][a-f0-9]', '[a-f0-9]{60}'),
  form('supabase-key', 'sb[ps]_', '[a-z0-9_]{0,12}[A-Za-z0-9]{32}'),
  form('planetscale-key', 'pscale_(?:tkn|pw|oauth)_', '[A-Za-z0-9._-]{32}'),
  form('doppler-token', 'dp\\.(?:pt|st|ct|sa|scim|audit)\\.', '(?:[a-z0-9_-]{2,35}\\.)?[A-Za-z0-9]{40}'),
  form('1password-token', 'ops_eyJ', '[A-Za-z0-9_-]{80}'),
  form('jwt', 'eyJ', '[A-Za-z0-9_-]{10,400}\\.[A-Za-z0-9_-]{4,400}\\.', isJwtHead),
  {
    id: 'secrets/basic-auth',
    source: `authorization["'\\n]*[ :=]+[ "'\\n]*basic ([A-Za-z0-9+/]{12,200}={0,2})`,
    needs: ['basic ', 'authorization'],
    isReal: (text) => Buffer.from(text, 'base64').toString('latin1').includes(':'),
  },
  {
    id: 'secrets/bearer',
    source:
      '(?:^|[^a-z])(?:bearer|authorization: token|x-api-key:?|x-auth-token:?) ([A-Za-z0-9._~+/-]{20,400})',
    needs: ['(?:bearer|authorization: token|x-api-key:?|x-auth-token:?) [A-Za-z0-9._~+/-]'],
    isReal: looksRandom,
  },
  {
    id: 'secrets/url-password',
    source: `(?:^|[^a-z])[a-z][a-z0-9+.-]{1,20}://[^ :/@"'<>\\n]{0,64}:([^ /@"'<>\\n]{3,100})@[a-z0-9\\[]`,
    needs: [`://[^ :/@"'<>\\n]*:[^ /@"'<>\\n]+@`],
    isReal: isUrlPassword,
  },
  named(
    'password',
    `(?:^|[^a-z])(?:${PASSWORD_NAMES})`,
    `[^ "'\\x60,;<>\\n{[(][^ "'\\x60,;<>\\n]{5,99}`,
    looksLikePassword,
  ),
  named('generic', `(?:^|[^a-z])(?:${SECRET_NAMES})`, '[A-Za-z0-9_+/=.~-]{16,200}', looksRandom),
];
