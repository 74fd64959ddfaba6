/** Attestation by a join token: whoever was given the string is the one agent that it names. */
import type { JoinTokens } from '../join-tokens.ts';
import type { Attestor } from './attestor.ts';

export const joinAttestor = (tokens: JoinTokens): Attestor<'join'> => ({
  method: 'join',
  attest: async ({ token: text }) => {
    const token = await tokens.look(text);
    const { id, tokenId } = token.value;
    return { method: 'join', facts: [`join:id=${id}`, `join:${tokenId}`], values: {}, id, token };
  },
});
