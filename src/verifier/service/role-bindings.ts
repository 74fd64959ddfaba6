/** Who has which role: bindings kept as records, looked up from memory on every request. */
import type { z } from 'zod';
import type { Role } from '../../api/endpoint.ts';
import { type RoleBinding, roleBinding } from '../../api/role-bindings.ts';
import { sha256Base64url } from '../../core/encoding/jws.ts';
import { type AgentId, agentTypeOf, type IdPattern, idMatches, isIdPattern } from '../../core/spiffe-id.ts';
import type { Actor } from '../actor.ts';
import { Edit, kind, type Records } from '../records.ts';
import { Refusal } from '../refusal.ts';
import type { Session } from './standing.ts';

export const ROLE_BINDING = kind<RoleBinding>('role-binding', roleBinding satisfies z.ZodType<RoleBinding>);

/** One binding has one name, so that it can't be there twice. */
const nameOf = ({ subject, role }: RoleBinding): string => sha256Base64url(`${role} ${subject}`);

export type NamedBinding = RoleBinding & { readonly id: string };

export class RoleBindings {
  private readonly records: Records;
  private bindings: readonly RoleBinding[] = [];
  private readonly unwatch: () => void;

  private constructor(records: Records, onFault: (error: unknown) => void) {
    this.records = records;
    this.unwatch = records.store.watch((_revision, keys) => {
      if (keys.some((key) => key.startsWith(`${ROLE_BINDING.prefix}/`))) this.reload().catch(onFault);
    });
  }

  static async load(records: Records, onFault: (error: unknown) => void): Promise<RoleBindings> {
    const bindings = new RoleBindings(records, onFault);
    await bindings.reload();
    return bindings;
  }

  private async reload(): Promise<void> {
    this.bindings = (await this.records.list(ROLE_BINDING)).map(({ value }) => value);
  }

  /** What an SVID gives by itself, and what bindings add to it. */
  rolesOf(id: AgentId, session: Session | undefined): ReadonlySet<Role> {
    const roles = new Set<Role>(agentTypeOf(id) === 'client' ? [] : ['agent']);
    for (const { subject, role } of this.bindings) {
      const fits = isIdPattern(subject)
        ? idMatches(subject as IdPattern, id)
        : session?.groups.some((group) => subject === `group:${group}`) === true;
      if (fits) roles.add(role);
    }
    return roles;
  }

  /**
   * Whoever may say who has a name may have its roles: so a name that a binding gives a role is an admin's to register, be it
   * exact or a template. Throws `api_forbidden`.
   */
  checkRegistrar({ roles }: Actor, id: string): void {
    if (roles.has('admin')) return;
    const names = id.replace(/\{[a-z_]+\}$/, '*');
    const bound = this.bindings.find(
      ({ subject }) =>
        idMatches(subject as IdPattern, names as AgentId) ||
        idMatches(names as IdPattern, subject as AgentId),
    );
    if (bound !== undefined)
      throw new Refusal(
        'api_forbidden',
        `${bound.subject} has the role ${bound.role}; who may be ${id} is an admin's to say`,
      );
  }

  async list(page: { readonly after?: string | undefined; readonly limit: number }): Promise<NamedBinding[]> {
    const found = await this.records.list(ROLE_BINDING, {
      limit: page.limit,
      ...(page.after !== undefined && { after: page.after }),
    });
    return found.map(({ name, value }) => ({ ...value, id: name }));
  }

  /** Refuses with `api_conflict` what is there. */
  async add(actor: Actor, binding: RoleBinding, why: string): Promise<NamedBinding> {
    const id = nameOf(binding);
    await this.records.commit(
      { event: 'role.bound', actor, why, data: { id, ...binding } },
      new Edit().set(ROLE_BINDING, id, binding, null),
    );
    await this.reload();
    return { ...binding, id };
  }

  /** Refuses with `api_not_found`. Takes effect on the next request, and on open streams with their next heartbeat. */
  async remove(actor: Actor, id: string, why: string): Promise<void> {
    const was = await this.records.get(ROLE_BINDING, id);
    if (was === undefined) throw new Refusal('api_not_found', 'there is no such role binding');
    await this.records.commit(
      { event: 'role.unbound', actor, why, data: { id, ...was.value } },
      new Edit().remove(ROLE_BINDING, was),
    );
    await this.reload();
  }

  close(): void {
    this.unwatch();
  }
}
