/** What says who an agent is: WIT, key binding, X.509-SVID; and public keys. */
import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { JsonObject } from '../core/encoding/json.ts';
import { parseJws } from '../core/encoding/jws.ts';
import { checkMembers } from '../core/encoding/members.ts';
import { admitKey, jwkFault, thumbprintOf } from '../core/keys.ts';
import { isAgentId, trustDomainOf } from '../core/spiffe-id.ts';
import { KEY_BINDING_MEMBERS, type KeyBinding, verifyKeyBinding, verifyWit } from '../core/trust/wit.ts';
import { deny } from '../core/verdict.ts';
import { parsePeerCertificate } from '../edge/tls/peer-certificate.ts';
import { AGENT_FILES } from '../verifier/local/layout.ts';
import {
  expiredIf,
  expiryRow,
  type Inspection,
  issuedRow,
  sound,
  timesData,
  unreadable,
  unverified,
} from './inspection.ts';
import type { KnownTrust } from './known-trust.ts';
import { isStandardInput } from './standard-input.ts';
import { formatTime } from './time-words.ts';

const NO_BUNDLE = 'its signature was not checked without a bundle: name --dir, or --bundle with --root';

const keyOf = (jwk: unknown): string => {
  const x = (jwk as { readonly x?: unknown } | undefined)?.x;
  return typeof x === 'string' ? thumbprintOf(x) : 'none';
};

export const inspectWit = (text: string, { bundle }: KnownTrust, now: number): Inspection => {
  const kind = 'WIT';
  const jws = parseJws(text, 'wit+jwt');
  if (!jws.ok) return unreadable(kind, jws);
  const issuers = bundle?.ok === true ? bundle.value.issuers : new Map();
  const wit = verifyWit(text, issuers, now);
  const { sub, iat, exp, cnf, audit_jwk: audit, attested } = jws.value.payload;
  if (!wit.ok && !wit.reason.startsWith('wit_') && !wit.reason.startsWith('key_'))
    return unreadable(kind, wit);
  const [issued, ends] = [Number(iat), Number(exp)];
  const keys = { agentKey: keyOf((cnf as JsonObject).jwk), auditKey: keyOf(audit) };
  const facts = Object.entries((attested ?? {}) as Readonly<Record<string, string>>);
  return {
    kind,
    sections: [
      {
        heading: `WIT of ${sub}`,
        rows: [
          ['agent key', keys.agentKey],
          ['audit key', keys.auditKey],
          ['issuer', `key ${jws.value.kid}`],
          issuedRow(issued, now),
          expiryRow(ends, now),
          ...facts.map(([name, value]): readonly [string, string] => ['attested', `${name}: ${value}`]),
        ],
      },
    ],
    result:
      bundle === undefined
        ? (expiredIf('wit_expired', `the WIT of ${sub}`, ends, now) ?? unverified(NO_BUNDLE))
        : !bundle.ok
          ? bundle
          : wit.ok
            ? sound(`signed by an issuer of ${trustDomainOf(wit.value.sub)}`)
            : wit,
    notes: [],
    data: {
      agent: sub,
      ...keys,
      issuer: jws.value.kid,
      ...timesData(issued, ends),
      ...(attested && { attested }),
    },
  };
};

/** A key binding says nothing of whom it is about; the WIT beside it does. */
export const inspectKeyBinding = (
  object: JsonObject,
  file: string,
  { bundle }: KnownTrust,
  now: number,
): Inspection => {
  const kind = 'key binding';
  const closed = checkMembers(object, KEY_BINDING_MEMBERS, 'the key binding');
  if (!closed.ok) return unreadable(kind, closed);
  const kb = object as unknown as KeyBinding;
  const base = {
    kind,
    sections: [
      { heading: 'key binding', rows: [['issuer', `key ${kb.kid}`] as const, expiryRow(kb.exp, now)] },
    ],
    notes: [],
    data: { issuer: kb.kid, expires: formatTime(kb.exp) },
  };
  const expired = expiredIf('kb_expired', 'the key binding', kb.exp, now);
  if (expired !== undefined) return { ...base, result: expired };
  const witFile = path.join(path.dirname(file), AGENT_FILES.wit);
  if (bundle === undefined) return { ...base, result: unverified(NO_BUNDLE) };
  if (!bundle.ok) return { ...base, result: bundle };
  if (isStandardInput(file) || !existsSync(witFile))
    return { ...base, result: unverified('it names nobody by itself, and no wit.jwt lies beside it') };
  const wit = verifyWit(readFileSync(witFile, 'utf8').trim(), bundle.value.issuers, now);
  if (!wit.ok) return { ...base, result: wit, notes: [`the fault is in ${witFile}`] };
  const { sub, agentKey } = wit.value;
  const bound = verifyKeyBinding(kb, sub, agentKey.x, now, bundle.value.issuers);
  return { ...base, result: bound.ok ? sound(`${sub} owns the key of the WIT beside it`) : bound };
};

export const inspectSvid = (pem: string, { bundle }: KnownTrust, now: number): Inspection => {
  const kind = 'X.509 certificate';
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pem);
  } catch {
    return unreadable(kind, deny('svid_untrusted', 'not an X.509 certificate in PEM'));
  }
  const facts = parsePeerCertificate(certificate);
  const [id = ''] = facts.uriSans;
  const names = facts.uriSans.join('  ');
  const base = {
    kind: facts.isCa ? 'SVID CA' : 'X.509-SVID',
    sections: [
      {
        heading: names === '' ? 'a certificate without a URI name' : names,
        rows: [
          ['issuer', certificate.issuer.replaceAll('\n', ', ')] as const,
          ['serial', certificate.serialNumber] as const,
          ['SHA-256', facts.digestHex] as const,
          issuedRow(facts.notBefore, now),
          expiryRow(facts.notAfter, now),
        ],
      },
    ],
    notes: [],
    data: {
      names: facts.uriSans,
      isCa: facts.isCa,
      digest: facts.digest,
      ...timesData(facts.notBefore, facts.notAfter),
    },
  };
  const expired = expiredIf('svid_expired', 'the certificate', facts.notAfter, now);
  if (expired !== undefined) return { ...base, result: expired };
  if (bundle === undefined) return { ...base, result: unverified(NO_BUNDLE) };
  if (!bundle.ok) return { ...base, result: bundle };
  if (facts.isCa) {
    const known = [...bundle.value.authorities.values()].flat().some((der) => der.equals(certificate.raw));
    return {
      ...base,
      result: known
        ? sound('one of the SVID CAs of the bundle')
        : deny('svid_untrusted', 'no SVID CA of the bundle'),
    };
  }
  if (facts.uriSans.length !== 1)
    return { ...base, result: deny('svid_uri_san', 'not exactly one URI name') };
  if (!isAgentId(id)) return { ...base, result: deny('svid_id', `${id} is no agent ID`) };
  const authorities = bundle.value.authorities.get(trustDomainOf(id));
  if (authorities === undefined)
    return { ...base, result: deny('svid_trust_domain', `${trustDomainOf(id)} is not in the bundle`) };
  return {
    ...base,
    result: facts.chainsTo(authorities)
      ? sound(`signed by an SVID CA of ${trustDomainOf(id)}`)
      : deny('svid_untrusted', `not signed by an SVID CA of ${trustDomainOf(id)}`),
  };
};

export const inspectJwk = (object: JsonObject): Inspection => {
  const kind = 'public key';
  const fault = jwkFault(object);
  if (fault !== undefined) return unreadable(kind, fault);
  const key = admitKey(String(object.x));
  if (!key.ok) return unreadable(kind, key);
  const { thumbprint } = key.value;
  return {
    kind,
    sections: [{ heading: 'Ed25519 public key', rows: [['thumbprint', thumbprint]] }],
    result: sound('a canonical point of prime order'),
    notes: [],
    data: { thumbprint },
  };
};
