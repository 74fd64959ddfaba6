/** `kind: Verifier`: the one source of its types, defaults, validator, JSON Schema and reference page. */
import { z } from 'zod';
import { attestationSchema } from './attestation-schema.ts';
import { duration, file, listenAddress, peerAddress, trustDomain } from './forms.ts';
import { keySchema } from './key-schema.ts';
import { metricsSchema } from './telemetry-schema.ts';

export const verifierSchema = z
  .strictObject({
    apiVersion: z.literal('hopgate.dev/v1').describe('Version of this form.'),
    kind: z.literal('Verifier').describe('What this document is.'),
    trustDomain: trustDomain
      .optional()
      .describe('The trust domain: said at the first start, and never another one afterwards.'),
    directory: file
      .default('.')
      .describe('Store, keys and api.sock. Private to this verifier; one verifier at a time.'),
    listen: listenAddress
      .prefault('127.0.0.1:14300')
      .describe('Where sidecars, people and automation connect (HTTPS, TLS 1.3).'),
    addresses: z
      .array(peerAddress)
      .max(8)
      .default([])
      .describe(
        'Under which others reach it: goes into join strings. Without any, the address that it listens on.',
      ),
    keys: keySchema,
    svidTtl: duration
      .prefault('1h')
      .describe('Life of SVIDs and WITs where the registration entry says nothing.'),
    attestation: attestationSchema,
    policy: z
      .strictObject({
        secondApprover: z
          .boolean()
          .default(false)
          .describe('Whether somebody else must approve a policy before it is in force.'),
      })
      .prefault({})
      .describe('How policies come into force.'),
    limits: z
      .strictObject({
        connections: z.int().min(1).default(8192).describe('Connections at once.'),
        strangers: z.int().min(1).default(512).describe('Of these, such as have not shown an SVID yet.'),
        strangersPerSource: z.int().min(1).default(64).describe('The same for one source address.'),
        wrongSecrets: z
          .int()
          .min(1)
          .default(10)
          .describe('Wrong join tokens and logins of one source address, before it must wait.'),
        wrongSecretInterval: duration.prefault('10s').describe('After so long it may bring one more.'),
      })
      .prefault({})
      .describe('Bounds on everything that a stranger can use up.'),
    metrics: metricsSchema('127.0.0.1:14301')
      .prefault({})
      .describe('Figures for Prometheus; none of them names an agent.'),
    log: z
      .strictObject({
        level: z
          .enum(['debug', 'info', 'warn', 'error'])
          .default('info')
          .describe('The least grave that is written.'),
      })
      .prefault({})
      .describe('Diagnostics on stderr, as JSON lines.'),
  })
  .meta({ description: 'The Trust Verifier. File names are relative to this file.' });

export type VerifierConfig = z.output<typeof verifierSchema>;

/** What holds without a configuration file. */
export const defaultVerifierConfig = (): VerifierConfig =>
  verifierSchema.parse({ apiVersion: 'hopgate.dev/v1', kind: 'Verifier' });
