/** Why a bundle is not taken. The message is for the log: names and numbers, nothing of what is inside. */
export class BundleFault extends Error {}
