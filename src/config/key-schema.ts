/** How a verifier keeps its keys, and how often it replaces them. */
import { z } from 'zod';
import { duration, file } from './forms.ts';

const days = (preset: number, what: string) =>
  z.int().min(1).max(365).default(preset).describe(`Days after which ${what} is replaced.`);

export const keySchema = z
  .strictObject({
    passphraseFile: file
      .optional()
      .describe(
        'Holds the passphrase under which keys are kept. Without one, under a key beside them (mode 0600).',
      ),
    rotateDays: z
      .strictObject({
        svidCa: days(30, 'the SVID CA'),
        witIssuer: days(30, 'the WIT issuer'),
        rootIssuer: days(90, 'the root issuer'),
        policy: days(90, 'the policy key'),
        timestamp: days(30, 'the timestamp key'),
      })
      .prefault({})
      .describe('Rotation by age.'),
    overlap: duration
      .prefault('2h')
      .describe(
        'From naming a key to signing with it. At least the longest limits.maxStaleness of any policy: a sidecar that has heard nothing for that long decides nothing, and none before may be cut off.',
      ),
  })
  .prefault({})
  .describe('Private keys are encrypted at rest, and replaced before they are old.');

export type KeyConfig = z.output<typeof keySchema>;
