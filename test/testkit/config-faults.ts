/** Configuration texts of tests, and the faults they get, one line each. */
import { ConfigError, parseConfig } from '../../src/config/load.ts';
import { parsePolicy } from '../../src/config/policy.ts';
import { sidecarSchema } from '../../src/config/sidecar-schema.ts';
import { verifierSchema } from '../../src/config/verifier-schema.ts';

const faultsOf = (read: () => unknown): string[] => {
  try {
    read();
    return [];
  } catch (error) {
    // Whatever the text, nothing but this error may come: a bad reload must not end a sidecar.
    if (!(error instanceof ConfigError)) throw error;
    return error.message.split('\n').map((line) => line.replace(/^f\.yaml:/, ''));
  }
};

/** `line:column: field: message`, in the order of the text. */
export const sidecarFaults = (text: string): string[] =>
  faultsOf(() => parseConfig(text, 'f.yaml', sidecarSchema));
export const policyFaults = (text: string): string[] => faultsOf(() => parsePolicy(text, 'f.yaml'));

export const verifierFaults = (text: string): string[] =>
  faultsOf(() => parseConfig(text, 'f.yaml', verifierSchema));

/** The same document, so long that it is validated by compiled code: what is wrong with it is the same. */
export const longer = (text: string): string =>
  `${text.replace(/\n?$/, '\n')}${'# and nothing more\n'.repeat(4000)}`;

/** A sidecar that is right, for tests to break; `rest` begins on line 15. */
export const sidecarText = (rest = 'inbound:\n  agent: 127.0.0.1:8080\n'): string => `\
apiVersion: hopgate.dev/v1
kind: Sidecar
identity:
  svid: svid.pem
  svidKey: svid.key
  agentKey: agent.key
  auditKey: audit.key
  wit: wit.jwt
  keyBinding: key-binding.json
trust:
  trustDomain: company.com
  root: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
  bundle: bundle.jws
policy: policy.yaml
${rest}`;

/** A policy that is right, for tests to break; `rest` begins on line 4 and replaces `routes` and `rules`. */
export const policyText = (rest = 'routes: []\nrules: []\n'): string => `\
apiVersion: hopgate.dev/v1
kind: Policy
revision: r1
${rest}`;
