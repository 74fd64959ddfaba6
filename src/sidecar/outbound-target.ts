/** Where the local agent wants to go: absolute-form, CONNECT, or a named route by Host (RFC 9112 §3.2). */
import { isIP } from 'node:net';
import type { EgressEntry } from '../config/egress-schema.ts';
import type { OutboundRoute, SidecarConfig } from '../config/sidecar-schema.ts';
import { type Denial, deny, grant, type Verdict } from '../core/verdict.ts';

const ABSOLUTE = /^http:\/\/([^/?#]*)(\/[^#]*|\?[^#]*)?$/i;
const AUTHORITY = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+))(?::([1-9][0-9]{0,4}))?$/;

/** What a resolver reads as an IPv4 address, in any of its spellings: 127.1, 0x7f.1, 2130706433. */
const NUMBERS = /^(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+))*$/;

/** Where a name of the configuration leads: to a peer, or out of the mesh. */
export type Place = { readonly route: OutboundRoute } | { readonly entry: EgressEntry };

export interface OutboundTarget {
  readonly place: Place;
  /** Origin form, as received. */
  readonly target: string;
}

const nameOf = (place: Place): string => ('route' in place ? place.route.host : place.entry.destination);

/** Whether two names lead to the same, though the configuration was read anew in between. */
export const isSamePlace = (one: Place, other: Place): boolean => nameOf(one) === nameOf(other);

/** What the configuration names. */
export class Places {
  private readonly peers: ReadonlyMap<string, Place>;
  private readonly beyond: ReadonlyMap<string, Place>;

  constructor(outbound: SidecarConfig['outbound']) {
    this.peers = new Map((outbound?.routes ?? []).map((route) => [route.host, { route }]));
    this.beyond = new Map((outbound?.egress ?? []).map((entry) => [entry.destination, { entry }]));
  }

  /** `port`: none and 80 are that of http, by which a peer, or an API on port 443, is called. */
  find(name: string, port: string | undefined): Place | undefined {
    const isHttp = port === undefined || port === '80';
    return (isHttp ? this.peers.get(name) : undefined) ?? this.beyond.get(`${name}:${isHttp ? '443' : port}`);
  }

  /** By the very port that is given. */
  findExact(name: string, port: string | undefined): Place | undefined {
    return this.beyond.get(`${name}:${port}`);
  }
}

interface Authority {
  readonly name: string;
  readonly port: string | undefined;
}

/** Refuses with `egress_*`. */
const readAuthority = (authority: string): Verdict<Authority> => {
  const match = AUTHORITY.exec(authority);
  if (match === null) return deny('egress_host_unknown', 'the request names no host');
  const name = (match[1] ?? match[2] ?? '').toLowerCase().replace(/\.$/, '');
  // Only names that an operator wrote down are dialled, so nothing that resolves can lead elsewhere; addresses get their own reason.
  if (isIP(name) !== 0 || name === 'localhost' || name.endsWith('.localhost') || NUMBERS.test(name))
    return forbidden(name);
  return grant({ name, port: match[3] });
};

const unknown = ({ name, port }: Authority): Denial =>
  deny(
    'egress_host_unknown',
    `no outbound route and no egress is for ${name}${port === undefined ? '' : `:${port}`}`,
  );

const isTunnel = (place: Place): boolean => 'entry' in place && place.entry.mode === 'tunnel';

/** Where requests to an authority go: a name in lower case, and a port. Refuses with `egress_*`. */
export const findPlace = (places: Places, authority: string): Verdict<Place> => {
  const read = readAuthority(authority);
  if (!read.ok) return read;
  const { name, port } = read.value;
  const place = places.find(name, port);
  if (place === undefined) return unknown(read.value);
  return isTunnel(place)
    ? deny('egress_host_unknown', `${name} is reached by a tunnel alone: send CONNECT`)
    : grant(place);
};

/**
 * Where a CONNECT leads: out by a tunnel, or to where what comes through it is read as requests. Refuses with `egress_*`.
 */
export const findConnect = (places: Places, authority: string): Verdict<Place> => {
  const read = readAuthority(authority);
  if (!read.ok) return read;
  const { name, port } = read.value;
  const exact = places.findExact(name, port);
  if (exact !== undefined && isTunnel(exact)) return grant(exact);
  // Who asks for the port of https means to speak TLS, and would only see it break.
  if (exact !== undefined && port === '443')
    return deny('egress_tls', `send plain HTTP to http://${name}/: the sidecar speaks TLS to this API`);
  const place = places.find(name, port);
  return place === undefined || isTunnel(place) ? unknown(read.value) : grant(place);
};

/** A request target as it may stand in a log: without user and password. */
export const withoutUserinfo = (url: string): string =>
  url.startsWith('/') ? url : url.replace(/^((?:[a-z][a-z0-9+.-]*:\/\/)?)[^/?#]*@/i, '$1');

const forbidden = (name: string): Denial =>
  deny('egress_address_forbidden', `${name} is an address, not the name of a route`);

/** Refuses with `egress_*`, `http_malformed`. */
export const readOutboundTarget = (
  places: Places,
  url: string,
  host: string | undefined,
): Verdict<OutboundTarget> => {
  if (url.startsWith('/')) {
    const place = findPlace(places, host ?? '');
    return place.ok ? grant({ place: place.value, target: url }) : place;
  }
  if (/^https:/i.test(url)) return deny('egress_tls', 'send plain HTTP: the sidecar speaks TLS to the peer');
  const match = ABSOLUTE.exec(url);
  if (match === null) return deny('http_malformed', 'the request target is neither a path nor an http URL');
  const place = findPlace(places, match[1] ?? '');
  if (!place.ok) return place;
  // The agent behind the peer may choose by Host: it must not read another name than the one that was decided on.
  const named = findPlace(places, host ?? '');
  if (!named.ok || !isSamePlace(named.value, place.value))
    return deny('http_malformed', 'Host names another peer than the request target');
  const rest = match[2] ?? '/';
  return grant({ place: place.value, target: rest.startsWith('?') ? `/${rest}` : rest });
};
