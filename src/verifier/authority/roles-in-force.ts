/** The roles document in force, as the store has it. */
import { parseRoles, type Roles } from '../../core/trust/roles.ts';
import type { Recorded, Records } from '../records.ts';
import { ROLES_NAME, type RolesRecord, rolesKind } from './key-records.ts';

/** Whose message is for who starts the verifier. */
export class AuthorityError extends Error {}

/** The document in force, from the store. Throws {@link AuthorityError} when it is another trust domain's. */
export const readRolesInForce = async (
  records: Records,
  trustDomain: string,
): Promise<{ readonly recorded: Recorded<RolesRecord>; readonly roles: Roles } | undefined> => {
  const recorded = await records.get(rolesKind, ROLES_NAME);
  if (recorded === undefined) return undefined;
  const parsed = parseRoles(recorded.value.text);
  if (!parsed.ok) throw new AuthorityError(`the roles in the store: ${parsed.detail}`);
  const { roles } = parsed.value;
  if (roles.trustDomain !== trustDomain)
    throw new AuthorityError(`this verifier is that of ${roles.trustDomain}, not of ${trustDomain}`);
  return { recorded, roles };
};
