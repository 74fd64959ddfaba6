/** The frames of the handshake: type, length, fields (SPEC.md section 11). */
import { MAX_FRAME_BODY_BYTES } from '../limits.ts';
import { deny, grant, type Verdict } from '../verdict.ts';

export const HANDSHAKE_VERSION = 'hopgate-hs/1';
export const ALPN_H1 = 'hopgate-h1/1';
export const ALPN_H2 = 'hopgate-h2/1';
/** Ed25519 proofs, SHA-256, TLS exporter of RFC 9266. */
export const SUITE_1 = 1;
export const NONCE_BYTES = 32;
export const FRAME_HEADER_BYTES = 4;

export const FRAME = { hello: 1, challenge: 2, proof: 3, result: 4 } as const;
export type FrameType = (typeof FRAME)[keyof typeof FRAME];

const FIELDS: Readonly<Record<FrameType, number>> = { 1: 4, 2: 4, 3: 1, 4: 2 };

/** A whole frame: 1 octet of type, 3 of length, then each field behind 2 octets of its length. */
export const encodeFrame = (type: FrameType, fields: readonly (Uint8Array | string)[]): Buffer => {
  const octets = fields.map((field) => (typeof field === 'string' ? Buffer.from(field, 'latin1') : field));
  const bodyLength = octets.reduce((sum, field) => sum + 2 + field.length, 0);
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + bodyLength);
  frame.writeUInt8(type, 0);
  frame.writeUIntBE(bodyLength, 1, 3);
  let at = FRAME_HEADER_BYTES;
  for (const field of octets) {
    at = frame.writeUInt16BE(field.length, at);
    frame.set(field, at);
    at += field.length;
  }
  return frame;
};

export interface Frame {
  readonly type: FrameType;
  /** As sent, header included: what the transcript hashes. */
  readonly octets: Buffer;
  readonly fields: readonly Buffer[];
}

/**
 * How many octets the frame has that `buffer` starts with, from its first four; `undefined` until they are there.
 * Refuses an oversize or unknown frame before it is read. Refuses with `hs_frame`.
 */
export const frameLength = (buffer: Buffer, expected: readonly FrameType[]): Verdict<number> | undefined => {
  const type = buffer[0];
  // One octet is enough to see that this is no frame of ours: plain HTTP, say.
  if (type !== undefined && !expected.includes(type as FrameType))
    return deny('hs_frame', `frame ${expected.join(' or ')} expected, got type ${type}`);
  if (buffer.length < FRAME_HEADER_BYTES) return undefined;
  const body = buffer.readUIntBE(1, 3);
  return body > MAX_FRAME_BODY_BYTES
    ? deny('hs_frame', `a frame body of ${body} octets, at most ${MAX_FRAME_BODY_BYTES}`)
    : grant(FRAME_HEADER_BYTES + body);
};

/** Parses one whole frame. Refuses with `hs_frame`. */
export const parseFrame = (octets: Buffer, expected: readonly FrameType[]): Verdict<Frame> => {
  const length = frameLength(octets, expected);
  if (length === undefined) return deny('hs_frame', 'the frame is cut');
  if (!length.ok) return length;
  if (length.value !== octets.length)
    return deny('hs_frame', 'the length of the frame is not that of its header');
  const type = octets[0] as FrameType;
  const fields: Buffer[] = [];
  for (let at = FRAME_HEADER_BYTES; at < octets.length; ) {
    if (at + 2 > octets.length) return deny('hs_frame', 'a field is cut');
    const end = at + 2 + octets.readUInt16BE(at);
    if (end > octets.length) return deny('hs_frame', 'a field is cut');
    fields.push(octets.subarray(at + 2, end));
    at = end;
  }
  if (fields.length !== FIELDS[type])
    return deny('hs_frame', `frame ${type} has ${FIELDS[type]} fields, got ${fields.length}`);
  return grant({ type, octets, fields });
};

/** F2′: the first three fields of F2's body with their lengths, that is F2 less its proof and its header. */
export const withoutProof = (challenge: Frame): Buffer => {
  const end = challenge.fields.slice(0, 3).reduce((at, field) => at + 2 + field.length, FRAME_HEADER_BYTES);
  return challenge.octets.subarray(FRAME_HEADER_BYTES, end);
};
