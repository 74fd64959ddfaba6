/** Two doors in for attacks on HTTP: behind one a real agent, behind the other a listener that keeps every octet. */
import { createServer, type Socket } from 'node:net';
import { type Mesh, type MeshAgent, makeMesh } from './mesh.ts';

export const BODY_LIMIT = 4096;

/** Names of headers that only we may send to an agent, or nobody, in spellings that somebody reads as these. */
export const SPOOFED = [
  'Hopgate-Principal',
  'hopgate-caller',
  'HOPGATE-TASK',
  'Hopgate_Scope',
  'hopgate_hop',
  'Hopgate-Assertion',
  'hOpGaTe-CoNtExT',
  'Hopgate_Context',
  'Hopgate-Delegate',
  'hopgate-anything',
  'Delegation_Chain',
  'delegation-other',
  'X-Forwarded-Client-Cert',
  'x_forwarded_client_cert',
  'X-Forwarded_Client-Cert',
  'Proxy-Authorization',
  'Proxy_Authorization',
  'Keep-Alive',
  'TE',
  'Trailer',
  'Proxy-Connection',
  'Content_Length',
  'Transfer_Encoding',
  'X-HTTP-Method-Override',
  'x_http_method_override',
  'X-Original-URL',
  'X-Rewrite-Url',
  'Script-Name',
  'SCRIPT_NAME',
  'PATH_INFO',
];

/** What reached the agent's port, as octets. It answers what looks like the end of a request. */
export class Wire {
  text = '';
  private wake: (() => void) | undefined;
  private readonly server = createServer((socket: Socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => {
      this.text += chunk.toString('latin1');
      this.wake?.();
      if (this.isWhole()) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    });
  });

  private isWhole(): boolean {
    const end = this.text.indexOf('\r\n\r\n') + 4;
    const head = this.text.slice(0, end);
    const length = /^content-length: (\d+)/im.exec(head)?.[1];
    return /^transfer-encoding/im.test(head)
      ? this.text.endsWith('\r\n0\r\n\r\n')
      : this.text.length >= end + Number(length ?? 0);
  }

  listen(): Promise<number> {
    return new Promise((resolve) =>
      this.server.listen(0, '127.0.0.1', () => resolve((this.server.address() as { port: number }).port)),
    );
  }

  async has(part: string): Promise<void> {
    while (!this.text.includes(part))
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
  }

  /** The one body of the one request, however it is framed; undefined where anything is left over. */
  body(): string | undefined {
    const end = this.text.indexOf('\r\n\r\n');
    const head = this.text.slice(0, end).toLowerCase();
    const rest = this.text.slice(end + 4);
    const length = /^content-length: (\d+)$/m.exec(head)?.[1];
    if (head.includes('transfer-encoding') === (length !== undefined)) return undefined;
    if (length !== undefined) return rest.length === Number(length) ? rest : undefined;
    let body = '';
    for (let at = 0; at < rest.length; ) {
      const line = rest.indexOf('\r\n', at);
      const size = Number.parseInt(rest.slice(at, line), 16);
      body += rest.slice(line + 2, line + 2 + size);
      at = line + 2 + size + 2;
      if (size === 0) return at === rest.length ? body : undefined;
    }
    return undefined;
  }

  close(): void {
    this.server.close();
  }
}

export interface HttpDoors {
  readonly mesh: Mesh;
  /** Its agent is an HTTP server. */
  readonly target: MeshAgent;
  /** Its agent is `wire`. */
  readonly witness: MeshAgent;
  readonly wire: Wire;
  readonly stop: () => void;
}

/** Short limits: a second for headers and for a body that stands still, {@link BODY_LIMIT} octets of body. */
export const startHttpDoors = async (): Promise<HttpDoors> => {
  const mesh = await makeMesh({
    domain: { agents: ['planning/abc123', 'inventory/def456', 'security/s1'] },
    config: { limits: { headersTimeout: '1s', bodyTimeout: '1s', bodyBytes: BODY_LIMIT } },
  });
  const wire = new Wire();
  const target = await mesh.start('inventory/def456');
  const witness = await mesh.start('security/s1', { agentPort: await wire.listen() });
  const stop = (): void => {
    wire.close();
    mesh.stop();
  };
  return { mesh, target, witness, wire, stop };
};
