/** Where the local agent wants to go: absolute-form, CONNECT, or a named route by Host (RFC 9112 §3.2). */
import { isIP } from 'node:net';
import type { OutboundRoute } from '../config/sidecar-schema.ts';
import { type Denial, deny, grant, type Verdict } from '../core/verdict.ts';

const ABSOLUTE = /^http:\/\/([^/?#]*)(\/[^#]*|\?[^#]*)?$/i;
const AUTHORITY = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?$/;

/** What a resolver reads as an IPv4 address, in any of its spellings: 127.1, 0x7f.1, 2130706433. */
const NUMBERS = /^(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+))*$/;

export interface OutboundTarget {
  readonly route: OutboundRoute;
  /** Origin form, as received. */
  readonly target: string;
}

/** Host and port; the name in lower case. Refuses with `egress_*`. */
export const findRoute = (
  routes: ReadonlyMap<string, OutboundRoute>,
  authority: string,
): Verdict<OutboundRoute> => {
  const match = AUTHORITY.exec(authority);
  if (match === null) return deny('egress_host_unknown', 'the request names no host');
  const name = (match[1] ?? match[2] ?? '').toLowerCase().replace(/\.$/, '');
  // Only names that an operator wrote down are dialled, so nothing that resolves can lead elsewhere; addresses get their own reason.
  if (isIP(name) !== 0 || name === 'localhost' || name.endsWith('.localhost') || NUMBERS.test(name))
    return forbidden(name);
  const route = match[3] === undefined || match[3] === '80' ? routes.get(name) : undefined;
  return route === undefined
    ? deny(
        'egress_host_unknown',
        `no outbound route has the host ${name}${match[3] === undefined ? '' : `:${match[3]}`}`,
      )
    : grant(route);
};

/** A request target as it may stand in a log: without user and password. */
export const withoutUserinfo = (url: string): string =>
  url.startsWith('/') ? url : url.replace(/^((?:[a-z][a-z0-9+.-]*:\/\/)?)[^/?#]*@/i, '$1');

const forbidden = (name: string): Denial =>
  deny('egress_address_forbidden', `${name} is an address, not the name of a route`);

/** Refuses with `egress_*`, `http_malformed`. */
export const readOutboundTarget = (
  routes: ReadonlyMap<string, OutboundRoute>,
  url: string,
  host: string | undefined,
): Verdict<OutboundTarget> => {
  if (url.startsWith('/')) {
    const route = findRoute(routes, host ?? '');
    return route.ok ? grant({ route: route.value, target: url }) : route;
  }
  if (/^https:/i.test(url)) return deny('egress_tls', 'send plain HTTP: the sidecar speaks TLS to the peer');
  const match = ABSOLUTE.exec(url);
  if (match === null) return deny('http_malformed', 'the request target is neither a path nor an http URL');
  const route = findRoute(routes, match[1] ?? '');
  if (!route.ok) return route;
  // The agent behind the peer may choose by Host: it must not read another name than the one that was decided on.
  const named = findRoute(routes, host ?? '');
  if (!named.ok || named.value !== route.value)
    return deny('http_malformed', 'Host names another peer than the request target');
  const rest = match[2] ?? '/';
  return grant({ route: route.value, target: rest.startsWith('?') ? `/${rest}` : rest });
};
