/**
 * The same text in memory of its own. V8 keeps of a text that was cut out of another the whole of that: a chain the 32 KiB of the head
 * that it came in, for as long as it is remembered (as a key of a map it is copied anyway). What is no text of Unicode does not stay what it was.
 */
export const ownText = (text: string): string => Buffer.from(text).toString();
