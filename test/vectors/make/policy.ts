/** Policies as a bundle carries them: what is one, and each way not to be one. */
import type { Case } from './case.ts';
import { egressCases } from './policy-egress.ts';
import { optionalCases } from './policy-optional.ts';
import { requiredCases } from './policy-required.ts';

export const policyCases = (): Case[] => [...requiredCases(), ...optionalCases(), ...egressCases()];
