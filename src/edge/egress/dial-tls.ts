/** TLS to a destination: its name in the certificate, by public CAs or those that are configured. */
import { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { type Destination, splitDestination } from '../../core/policy/destination.ts';
import { deny, grant, type Verdict } from '../../core/verdict.ts';
import { type DialOptions, dial } from './dial.ts';

export interface DialTlsOptions extends DialOptions {
  readonly secureContext: SecureContext;
}

const CERTIFICATES = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** TLS 1.2 or newer, by the CAs of a PEM text or by public ones. Throws on a text without a CA: Node would take it, and trust nobody. */
export const destinationContext = (pem: string | undefined): SecureContext => {
  if (pem === undefined) return createSecureContext({ minVersion: 'TLSv1.2' });
  const certificates = pem.match(CERTIFICATES) ?? [];
  if (certificates.length === 0) throw new Error('holds no certificate');
  for (const certificate of certificates)
    if (!new X509Certificate(certificate).ca) throw new Error('holds a certificate that is no CA’s');
  return createSecureContext({ minVersion: 'TLSv1.2', ca: certificates });
};

const isOfTls = (code: string): boolean => code.startsWith('ERR_SSL_') || code.startsWith('ERR_TLS_');

/** Refuses as `dial` does, and with `egress_certificate`; never rejects. */
export const dialTls = async (
  destination: Destination,
  options: DialTlsOptions,
): Promise<Verdict<TLSSocket>> => {
  const began = performance.now();
  const dialled = await dial(destination, options);
  if (!dialled.ok) return dialled;
  const left = Math.max(1, options.timeoutMs - (performance.now() - began));
  return secure(dialled.value, destination, options, left);
};

const secure = (
  socket: Socket,
  destination: Destination,
  { secureContext, signal }: DialTlsOptions,
  timeoutMs: number,
): Promise<Verdict<TLSSocket>> =>
  new Promise((resolve) => {
    const { host } = splitDestination(destination);
    const tls = connect({
      socket,
      servername: host,
      ALPNProtocols: ['http/1.1'],
      secureContext,
      rejectUnauthorized: true,
    });
    const end = (verdict: Verdict<TLSSocket>): void => {
      clearTimeout(late);
      signal.removeEventListener('abort', onAbort);
      if (!verdict.ok) tls.destroy();
      resolve(verdict);
    };
    const onAbort = (): void => end(deny('egress_unreachable', `${destination}: no TLS in time`));
    const late = setTimeout(onAbort, timeoutMs);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    tls.on('error', (error: NodeJS.ErrnoException) => {
      const { code = 'no code' } = error;
      const isRefused = tls.authorizationError != null || isOfTls(code);
      end(
        isRefused
          ? deny('egress_certificate', `${destination}: TLS was refused (${code})`)
          : deny('egress_unreachable', `${destination}: no TLS (${code})`),
      );
    });
    tls.once('secureConnect', () => end(grant(tls)));
  });
