/** The policy that a trust domain starts with, in files or at a verifier: commented, since people read and change it. */
import { stringify } from 'yaml';

/** A scalar in YAML, quoted where it must be. */
const scalar = (text: string): string => stringify(text, { lineWidth: 0 }).trimEnd();

/** The scope set that the starter policy, the default delegation and the walkthrough have in common. */
export const STARTER_SCOPE_SET = 'infrastructure:review';

/** Who makes it, and how a change of it gets to the sidecars. */
const ORIGINS = {
  files: [
    'made by "hopgate init". Yours to change; init never writes it again.',
    '# Every sidecar of the domain reads the same file. What it does not allow is denied.',
  ],
  verifier: [
    'put in force by the first start of "hopgate verifier".',
    '# Yours to change: edit it, then "hopgate policy publish policy.yaml --why …". What it does not allow is denied.',
  ],
} as const;

/** The text of the policy; a local domain's sidecars read the file, a verifier's get it in the bundle. */
export const starterPolicy = (trustDomain: string, origin: keyof typeof ORIGINS): string => `\
# The policy of the trust domain ${trustDomain}, ${ORIGINS[origin].join('\n')}
apiVersion: hopgate.dev/v1
kind: Policy

# Names this version in the audit log. Change it whenever you change the policy.
revision: "1"

limits:
  maxDepth: 3 # longest chain, in links: alice → planning is 1, alice → planning → inventory is 2
  linkTtl: 2h # longest life of a link
  humanRoot: required # a human must stand at the root of every chain

# People think in names. Minting expands a name to its patterns; a link carries the patterns.
scopeSets:
  ${STARTER_SCOPE_SET}: [cloud:read, "ec2:Describe*", "s3:List*"]

# Never take part, at any position of a chain:
# lists:
#   block:
#     agents: [${scalar(`spiffe://${trustDomain}/agent/planning/9`)}]
#     principals: ["mailto:mallory@${trustDomain}"]

# What a request needs. The first match counts; no match is a denial.
# {name} stands for one path segment; a final /* for one or more; "/" only for itself.
# With "callees" a route is about some agents only; without it, about any.
routes:
  - name: ec2
    methods: [GET]
    path: /ec2/{action}
    scopes: ["ec2:{action}"]
  - name: s3
    methods: [GET]
    path: /s3/{action}
    scopes: ["s3:{action}"]
  - name: read-root
    methods: [GET, HEAD]
    path: /
    scopes: [cloud:read]
  - name: read
    methods: [GET, HEAD]
    path: /*
    scopes: [cloud:read]
  - name: write
    methods: [POST, PUT, PATCH, DELETE]
    path: /*
    scopes: [cloud:write]

# Who may. Every selector that is given must match; a matching deny overrides; no matching allow is a denial.
rules:
  - name: review
    effect: allow
    scopes: [cloud:read, "ec2:Describe*", "s3:List*"]
  # Writing stays denied, whatever a chain holds, until a rule like this one allows it:
  # - name: inventory-may-write
  #   effect: allow
  #   callers: [${scalar(`spiffe://${trustDomain}/agent/inventory/*`)}]
  #   scopes: [cloud:write]
`;
