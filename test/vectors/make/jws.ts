/** Strict parsing: compact form, header, JSON, closed objects. Each is signed by the key that could have signed it. */
import type { Case } from './case.ts';
import { formCases } from './jws-form.ts';
import { memberCases } from './jws-members.ts';
import { payloadCases } from './jws-payload.ts';
import { otherTypeCases } from './jws-types.ts';

export const jwsCases = (): Case[] => [
  ...formCases(),
  ...payloadCases(),
  ...memberCases(),
  ...otherTypeCases(),
];
