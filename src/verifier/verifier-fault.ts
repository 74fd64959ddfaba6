/** What an operator can put right before the verifier starts; the message says how. */
export class VerifierFault extends Error {}
