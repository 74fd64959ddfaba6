/** Reads server-sent events (WHATWG HTML §9.2), of which we send `data` and comments only. */

/** An event of ours is a bundle's name or less. */
const MAX_EVENT_BYTES = 1_048_576;

/** The data of each event. Throws on one that is too long. */
export async function* readEvents(body: AsyncIterable<Buffer>): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let text = '';
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true });
    for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n')) {
      const data = text
        .slice(0, end)
        .split('\n')
        .filter((line) => line.startsWith('data: '))
        .map((line) => line.slice('data: '.length));
      text = text.slice(end + 2);
      if (data.length > 0) yield data.join('\n');
    }
    if (text.length > MAX_EVENT_BYTES) throw new RangeError('an event of more than 1 MiB');
  }
}
