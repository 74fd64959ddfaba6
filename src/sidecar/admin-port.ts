/**
 * The operator's port on loopback. Every process of the machine reaches it, and so does every web page that a browser there
 * shows: each call brings a token, names this very host, and comes from no page.
 */
import type { IncomingMessage, Server } from 'node:http';
import type { TcpAddress } from '../config/forms.ts';
import { type Denial, deny } from '../core/verdict.ts';
import type { AdminTokens } from './admin-tokens.ts';

const FROM_PAGES = /^(?:origin|referer|sec-fetch-.*)$/;

const isFromPage = ({ rawHeaders }: IncomingMessage): boolean =>
  rawHeaders.some((name, at) => at % 2 === 0 && FROM_PAGES.test(name.toLowerCase()));

/** The names under which a loopback port is called; a page can make any other point here. */
const isOwnHost = ({ headersDistinct, socket }: IncomingMessage): boolean => {
  const [host = '', ...more] = headersDistinct.host ?? [];
  const { localPort } = socket;
  const names = ['127.0.0.1', '[::1]', 'localhost', `${socket.localAddress}`];
  return more.length === 0 && names.some((name) => host.toLowerCase() === `${name}:${localPort}`);
};

const MAY_QUIT = 'POST /quit';

/** Why a call on the port is refused: `agent_browser`, `http_malformed`, `admin_unauthenticated`, `admin_forbidden`. */
export const checkCaller = (
  request: IncomingMessage,
  path: string,
  tokens: AdminTokens,
): Denial | undefined => {
  if (isFromPage(request)) return deny('agent_browser', 'web pages have no business here');
  if (!isOwnHost(request)) return deny('http_malformed', 'Host is not the address of this port');
  const { authorization = [] } = request.headersDistinct;
  const role = authorization.length === 1 ? tokens.roleOf(authorization[0]) : undefined;
  if (role === undefined)
    return deny('admin_unauthenticated', 'Authorization: Bearer, with the token of the file');
  if (role !== 'operator' && `${request.method} ${path}` !== MAY_QUIT)
    return deny('admin_forbidden', `this token is good for ${MAY_QUIT} alone`);
  return undefined;
};

export const listenOnLoopback = (
  server: Server,
  { host, port }: TcpAddress,
): Promise<{ readonly host: string; readonly port: number }> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      const address = server.address();
      resolve({ host, port: address !== null && typeof address === 'object' ? address.port : port });
    });
  });
