/** Whose a key is that signs an approval: what the next bundle will say, and not what the last one said. */
import type { Approver, Approvers } from '../../core/approval/approver.ts';
import { admitKey } from '../../core/keys.ts';
import { nameOf, PRINCIPAL, PRINCIPAL_KEY } from '../principals/kinds.ts';
import type { Records } from '../records.ts';
import { Refusal } from '../refusal.ts';
import { nameOfRevoked, REVOCATION } from '../revocation/revocation-records.ts';

/** The approver with this key, alone in a map. Throws `approval_invalid` where there is none. */
export const approverWith = async (records: Records, thumbprint: string): Promise<Approvers> => {
  const owner = await records.get(PRINCIPAL_KEY, thumbprint);
  const person =
    owner === undefined ? undefined : await records.get(PRINCIPAL, nameOf(owner.value.principal));
  if (person === undefined)
    throw new Refusal('approval_invalid', 'the token is by a key that nobody is registered with');
  // Sidecars take it from nobody: whoever waits must not be told that it was granted.
  if ((await records.get(REVOCATION, nameOfRevoked({ key: thumbprint }))) !== undefined)
    throw new Refusal('approval_invalid', 'the token is by a key that was revoked');
  const { uri, approver, keys } = person.value;
  if (!approver) throw new Refusal('approval_invalid', `${uri} is no approver`);
  for (const { x } of keys) {
    const key = admitKey(x);
    if (key.ok && key.value.thumbprint === thumbprint)
      return new Map<string, Approver>([[thumbprint, { principal: uri, key: key.value }]]);
  }
  throw new Refusal('approval_invalid', `${uri} no longer has this key`);
};
