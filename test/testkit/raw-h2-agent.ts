/** An agent that speaks HTTP/2 by hand: whoever writes a test sees each frame, and answers with whatever octets. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import {
  ACK,
  END_HEADERS,
  END_STREAM,
  type Field,
  type H2Frame,
  h2Frame,
  headerBlock,
  PREFACE,
  TYPE,
} from './raw-h2.ts';

export const headersFrame = (stream: number, fields: readonly Field[], ends = false): Buffer =>
  h2Frame(TYPE.headers, END_HEADERS | (ends ? END_STREAM : 0), stream, headerBlock(fields));

export class RawH2Agent {
  readonly frames: H2Frame[] = [];
  private readonly server: Server;
  private readonly sockets: Socket[] = [];

  /** `onFrame` hears what is no SETTINGS. */
  constructor(onFrame: (frame: H2Frame, socket: Socket) => void, settings: Uint8Array = Buffer.alloc(0)) {
    this.server = createServer({ noDelay: true }, (socket) => {
      socket.on('error', () => socket.destroy());
      this.sockets.push(socket);
      socket.write(h2Frame(TYPE.settings, 0, 0, settings));
      let octets: Buffer = Buffer.alloc(0);
      let at = PREFACE.length;
      socket.on('data', (chunk: Buffer) => {
        octets = Buffer.concat([octets, chunk]);
        while (octets.length >= at + 9 && octets.length >= at + 9 + octets.readUIntBE(at, 3)) {
          const end = at + 9 + octets.readUIntBE(at, 3);
          const frame = {
            type: octets.readUInt8(at + 3),
            flags: octets.readUInt8(at + 4),
            stream: octets.readUInt32BE(at + 5) & 0x7fffffff,
            payload: Buffer.from(octets.subarray(at + 9, end)),
          };
          at = end;
          this.frames.push(frame);
          if (frame.type !== TYPE.settings) onFrame(frame, socket);
          else if (frame.flags !== ACK) socket.write(h2Frame(TYPE.settings, ACK, 0));
        }
        octets = octets.subarray(at);
        at = 0;
      });
    });
  }

  async listen(): Promise<number> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return (this.server.address() as AddressInfo).port;
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
  }
}
