/** The TLS client's side of a connection to a peer. */
import { type ConnectionOptions, connect, type SecureContext, type TLSSocket } from 'node:tls';
import { type Denial, deny, grant, type Verdict } from '../../core/verdict.ts';
import { ALPN_OF, type PeerHttp } from './settings.ts';

export interface ConnectOptions {
  readonly host: string;
  readonly port: number;
  readonly http: PeerHttp;
  readonly secureContext: SecureContext;
  readonly timeoutMs: number;
}

/** TLS alone: a socket whose peer's certificate chains to a CA of the bundle. Refuses with `peer_unreachable`, `svid_*`, `tls_failed`. */
export const connectTls = (options: ConnectOptions): Promise<Verdict<TLSSocket>> =>
  new Promise((resolve) => {
    const socket = connect({
      host: options.host,
      port: options.port,
      secureContext: options.secureContext,
      ALPNProtocols: [ALPN_OF[options.http]],
      // The name that counts is the SPIFFE ID, which is checked from the certificate; DNS names are not.
      checkServerIdentity: () => undefined,
      rejectUnauthorized: true,
      noDelay: true,
    } as ConnectionOptions);
    const timer = setTimeout(
      () => fail(deny('peer_unreachable', `no connection within ${options.timeoutMs} ms`)),
      options.timeoutMs,
    );
    const fail = (denial: Denial): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(denial);
    };
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (socket.authorizationError !== null && socket.authorizationError !== undefined) {
        const { code = '' } = error;
        const isUntimely = code.includes('EXPIRED') || code.includes('NOT_YET_VALID');
        fail(
          isUntimely
            ? deny(
                'svid_expired',
                `the SVID is not valid now (${code}), it is ${Math.floor(Date.now() / 1000)}`,
              )
            : deny('svid_untrusted', `the peer's certificate was refused: ${code}`),
        );
      } else
        fail(
          deny('peer_unreachable', `${options.host}:${options.port}: ${error.code ?? 'connection failed'}`),
        );
    });
    socket.once('secureConnect', () => {
      clearTimeout(timer);
      socket.removeAllListeners('error');
      socket.on('error', () => socket.destroy());
      if (socket.alpnProtocol !== ALPN_OF[options.http])
        fail(deny('tls_failed', `the peer does not speak ${ALPN_OF[options.http]}`));
      else resolve(grant(socket));
    });
  });
