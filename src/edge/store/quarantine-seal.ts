/**
 * Bodies sealed to reviewers: JWE in its General JSON Serialization (RFC 7516 §7.2.1), AES-256-GCM under a key of its own
 * that is wrapped for each reviewer (ECDH-ES+A256KW on X25519). The label is its additional authenticated data.
 */
import { GeneralEncrypt, type GeneralJWE, generalDecrypt } from 'jose';
import { decodeBase64url } from '../../core/encoding/base64url.ts';
import { sha256 } from '../../core/encoding/jws.ts';
import {
  joinSealed,
  parseLabel,
  type QuarantineHead,
  type QuarantineLabel,
  quarantineId,
  splitSealed,
} from '../../core/quarantine/item.ts';
import { deny, grant, type Verdict } from '../../core/verdict.ts';
import type { Reviewer, ReviewerKey } from './quarantine-keys.ts';

const TYPE = 'quarantine+jwe';
const WRAP = 'ECDH-ES+A256KW';
const CIPHER = 'A256GCM';

/** The text of a file: `aad` first, so that a label is read without what follows it. */
export const seal = async (
  label: Buffer,
  head: QuarantineHead,
  body: Buffer,
  reviewers: readonly Reviewer[],
): Promise<string> => {
  const encryption = new GeneralEncrypt(joinSealed(head, body))
    .setProtectedHeader({ enc: CIPHER, typ: TYPE })
    .setAdditionalAuthenticatedData(label);
  for (const { key, sealTo } of reviewers)
    encryption.addRecipient(sealTo).setUnprotectedHeader({ alg: WRAP, kid: key.thumbprint });
  const jwe = await encryption.encrypt();
  const { aad, protected: header, recipients, iv, tag, ciphertext } = jwe;
  return `${JSON.stringify({ aad, protected: header, recipients, iv, tag, ciphertext })}\n`;
};

const BEGIN = '{"aad":"';

/** The label that stands at the beginning of such a text; undefined for anything else. */
export const readSealedLabel = (beginning: string): QuarantineLabel | undefined => {
  if (!beginning.startsWith(BEGIN)) return undefined;
  const octets = decodeBase64url(beginning.slice(BEGIN.length, beginning.indexOf('"', BEGIN.length)));
  const label = octets && parseLabel(octets);
  return label?.ok === true ? label.value : undefined;
};

/** What a reviewer sees. */
export interface Unsealed {
  readonly label: QuarantineLabel;
  readonly head: QuarantineHead;
  readonly body: Buffer;
}

/**
 * Opens it with a reviewer's key, and compares all that it says with its id: nobody can show one request and have another
 * released. Refuses with `approval_invalid`.
 */
export const unseal = async (id: string, text: string, key: ReviewerKey): Promise<Verdict<Unsealed>> => {
  const refuse = (detail: string) => deny('approval_invalid', detail);
  let opened: { readonly plaintext: Uint8Array; readonly additionalAuthenticatedData?: Uint8Array };
  try {
    const jwe = JSON.parse(text) as GeneralJWE;
    const { thumbprint } = key.signing;
    const own = jwe.recipients.filter(({ header }) => header?.kid === thumbprint);
    if (own.length === 0) return refuse('it is not sealed to this reviewer');
    opened = await generalDecrypt({ ...jwe, recipients: own }, key.unseal, {
      keyManagementAlgorithms: [WRAP],
      contentEncryptionAlgorithms: [CIPHER],
    });
  } catch {
    return refuse('it can’t be opened: changed since it was sealed, or sealed to another key');
  }
  const label = parseLabel(opened.additionalAuthenticatedData ?? Buffer.alloc(0));
  if (!label.ok) return refuse(`its label is none: ${label.detail}`);
  const split = splitSealed(
    Buffer.from(opened.plaintext.buffer, opened.plaintext.byteOffset, opened.plaintext.length),
  );
  if (!split.ok) return refuse(`what is sealed is no request: ${split.detail}`);
  const { head, body } = split.value;
  const facts = { ...label.value, ...head, body: sha256(body).toString('base64url') };
  if (label.value.id !== id || quarantineId(facts) !== id)
    return refuse('it is another request than its id stands for: do not release it');
  return grant({ label: label.value, head, body });
};
