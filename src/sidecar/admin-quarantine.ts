/** What the admin socket does with the quarantine: operators list and drop, reviewers bring their own signed word. */
import { isDigest } from '../core/encoding/members.ts';
import { isWhy } from '../core/quarantine/reviewer.ts';
import type { AgentId } from '../core/spiffe-id.ts';
import { type Denial, deny, grant, type Verdict } from '../core/verdict.ts';
import type { Quarantine } from '../edge/store/quarantine.ts';

export interface QuarantineCall {
  readonly method: string;
  /** Behind `/quarantine`. */
  readonly target: string;
  /** Octets as latin1. */
  readonly body: () => Promise<Verdict<string>>;
}

const none = (): Denial => deny('api_not_found', 'the admin socket has no such call');

/**
 * `GET /` lists; `POST /ID/inspect` and `/ID/release` take a reviewer's token, `/ID/drop` a reason. Refuses with
 * `quarantine_unavailable`, `api_*`, `approval_*`, `audit_unavailable`.
 */
export const answerQuarantine = async (
  { method, target, body }: QuarantineCall,
  quarantine: Quarantine | undefined,
  sidecar: AgentId | undefined,
): Promise<Verdict<unknown>> => {
  if (quarantine === undefined)
    return deny('quarantine_unavailable', 'the sidecar’s configuration has no quarantine');
  if (sidecar === undefined) return deny('svid_expired', 'this sidecar has no identity yet');
  if (method === 'GET' && target === '') return grant({ sidecar, ...quarantine.status() });
  const [, id = '', action = '', ...more] = target.split('/');
  if (method !== 'POST' || !isDigest(id) || more.length > 0) return none();
  const said = await body();
  if (!said.ok) return said;
  switch (action) {
    case 'inspect': {
      const text = await quarantine.inspect(id, said.value);
      return text.ok ? grant({ jwe: text.value }) : text;
    }
    case 'release':
      return quarantine.release(id, said.value);
    case 'drop': {
      const why = Buffer.from(said.value, 'latin1').toString('utf8');
      return isWhy(why)
        ? quarantine.drop(id, why)
        : deny('api_malformed', 'a reason is one line of 200 characters at most');
    }
    default:
      return none();
  }
};
