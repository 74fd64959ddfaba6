import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  EventEdge,
  edgeOf,
  GrpcEdge,
  type StreamEdge,
  WebSocketEdge,
} from '../../../../src/edge/http/stream-edge.ts';

const cut = (octets: Buffer, sizes: readonly number[]): Buffer[] => {
  const chunks: Buffer[] = [];
  let at = 0;
  for (const size of sizes) {
    if (at >= octets.length) break;
    chunks.push(octets.subarray(at, at + size));
    at += size;
  }
  return at < octets.length ? [...chunks, octets.subarray(at)] : chunks;
};
const sizes = fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 60 });

/** Where it may end, octet by octet, however the octets come. */
const expectEdges = (
  make: () => StreamEdge,
  pieces: readonly Buffer[],
  chunkSizes: readonly number[],
): void => {
  const whole = Buffer.concat(pieces);
  const edges = new Set<number>([0]);
  let end = 0;
  for (const piece of pieces) {
    end += piece.length;
    edges.add(end);
  }
  const pushed = make();
  let at = 0;
  for (const chunk of cut(whole, chunkSizes)) {
    const asked = make();
    asked.push(whole.subarray(0, at));
    const first = [...edges].filter((edge) => edge > at).sort((a, b) => a - b)[0] ?? Number.NaN;
    expect(asked.until(chunk)).toBe(first - at <= chunk.length ? first - at : undefined);
    pushed.push(chunk);
    at += chunk.length;
    expect(pushed.isBetween).toBe(edges.has(at));
  }
};

describe('where a stream may end', () => {
  it('is behind a whole event, whatever its line ends', () => {
    const event = fc.constantFrom(
      'data: x\n\n',
      ': ping\n\n',
      'id: 1\ndata: a\ndata: b\n\n',
      'event: message\r\ndata: {}\r\n\r',
      'data: y\r\r',
    );
    fc.assert(
      fc.property(fc.array(event, { minLength: 1, maxLength: 6 }), sizes, (events, chunkSizes) => {
        // The LF of a final CRLF belongs to it, and says nothing more.
        const pieces = events.map((text, at) =>
          Buffer.from(at > 0 && events[at - 1]?.endsWith('\r\n\r') ? `\n${text}` : text),
        );
        const [first, ...more] = pieces;
        if (first === undefined || more.some((piece) => piece[0] === 0x0a)) return;
        expectEdges(() => new EventEdge(), pieces, chunkSizes);
      }),
    );
  });

  it('stays there when the LF of a CRLF comes late', () => {
    const edge = new EventEdge();
    edge.push(Buffer.from('data: x\r\n\r'));
    expect(edge.isBetween).toBe(true);
    edge.push(Buffer.from('\n'));
    expect(edge.isBetween).toBe(true);
    edge.push(Buffer.from('d'));
    expect(edge.isBetween).toBe(false);
  });

  it('is behind a whole message of gRPC', () => {
    const message = fc.uint8Array({ maxLength: 300 }).map((payload) => {
      const head = Buffer.alloc(5);
      head.writeUInt32BE(payload.length, 1);
      return Buffer.concat([head, payload]);
    });
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 4 }), sizes, (messages, chunkSizes) =>
        expectEdges(() => new GrpcEdge(), messages, chunkSizes),
      ),
    );
  });

  it('is behind a whole frame of a WebSocket, masked or not, of any size', () => {
    const frame = fc
      .tuple(fc.constantFrom(0, 1, 125, 126, 300, 70_000), fc.boolean(), fc.constantFrom(0x81, 0x01, 0x89))
      .map(([size, isMasked, first]) => {
        const bit = isMasked ? 0x80 : 0;
        const head =
          size < 126
            ? Buffer.from([first, bit | size])
            : size < 65_536
              ? Buffer.from([first, bit | 126, size >> 8, size & 0xff])
              : Buffer.from([first, bit | 127, 0, 0, 0, 0, 0, size >> 16, (size >> 8) & 0xff, size & 0xff]);
        return Buffer.concat([head, Buffer.alloc(isMasked ? 4 : 0, 7), Buffer.alloc(size, 0x81)]);
      });
    fc.assert(
      fc.property(fc.array(frame, { minLength: 1, maxLength: 4 }), sizes, (frames, chunkSizes) =>
        expectEdges(() => new WebSocketEdge(), frames, chunkSizes),
      ),
      { numRuns: 50 },
    );
  });

  it.each([
    ['text/event-stream', EventEdge],
    ['Text/Event-Stream; charset=utf-8', EventEdge],
    ['application/grpc', GrpcEdge],
    ['application/grpc+proto', GrpcEdge],
  ])('is known of %s', (type, kind) => {
    expect(edgeOf(['Content-Type', type])).toBeInstanceOf(kind);
  });

  it.each([
    [['content-type', 'text/plain']],
    [['content-type', 'application/grpc-web']],
    [['content-type', 'text/event-streams']],
    [['content-type', 'text/event-stream', 'content-encoding', 'gzip']],
    [[]],
  ])('is not known of %j', (headers) => {
    expect(edgeOf(headers)).toBeUndefined();
  });
});
