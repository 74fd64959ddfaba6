/** Delegation chains and grants. */
import type { Case } from './case.ts';
import { forgedChains } from './chain-forged.ts';
import { goodChains } from './chain-good.ts';
import { wideChains } from './chain-narrowing.ts';
import { misshapenChains } from './chain-shape.ts';

export const chainCases = (): Case[] => [
  ...goodChains(),
  ...misshapenChains(),
  ...wideChains(),
  ...forgedChains(),
];
