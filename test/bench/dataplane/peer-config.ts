/** What the peers are told. Their limits on requests a connection are lifted: they would otherwise pay for handshakes in the midst. */

export interface PeerFiles {
  readonly port: number;
  /** Port of the agent. */
  readonly upstream: number;
  /** Port of the service that checks chains; undefined: nobody checks. */
  readonly authorizer: number | undefined;
  readonly directory: string;
  readonly certificate: string;
  readonly key: string;
  /** Certificate and key in one file. */
  readonly both: string;
  readonly ca: string;
  readonly log: string;
}

const MANY = 1_000_000_000;

const upstreamOf = (name: string, port: number): string => `
  upstream ${name} {
    server 127.0.0.1:${port};
    keepalive 256;
    keepalive_requests ${MANY};
  }`;

export const nginxConfig = (files: PeerFiles): string => `
daemon off;
worker_processes 1;
${process.getuid?.() === 0 ? 'user root;' : ''}
pid ${files.log}.pid;
error_log stderr error;
events { worker_connections 16384; }
http {
  access_log ${files.log} combined;
${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `  ${kind}_temp_path ${files.log}.${kind};`).join('\n')}
${upstreamOf('agent', files.upstream)}
${files.authorizer === undefined ? '' : upstreamOf('authorizer', files.authorizer)}
  server {
    listen 127.0.0.1:${files.port} ssl backlog=4096;
    ssl_certificate ${files.certificate};
    ssl_certificate_key ${files.key};
    ssl_client_certificate ${files.ca};
    ssl_verify_client on;
    ssl_protocols TLSv1.3;
    ssl_session_cache off;
    ssl_session_tickets off;
    keepalive_requests ${MANY};
    keepalive_timeout 3600;
    large_client_header_buffers 4 32k;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $host;
    location / {
      ${files.authorizer === undefined ? '' : 'auth_request /authorize;'}
      proxy_pass http://agent;
    }
${
  files.authorizer === undefined
    ? ''
    : `    location = /authorize {
      internal;
      access_log off;
      proxy_pass http://authorizer;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_set_header X-Client-Cert $ssl_client_escaped_cert;
      proxy_set_header X-Original-Method $request_method;
      proxy_set_header X-Original-Uri $request_uri;
    }`
}
  }
}
`;

export const haproxyConfig = (files: PeerFiles): string => `
global
  nbthread 1
  maxconn 4096
  log stdout format raw local0 info
defaults
  mode http
  log global
  option httplog
  option http-keep-alive
  http-reuse always
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout http-keep-alive 1h
frontend door
  bind 127.0.0.1:${files.port} ssl crt ${files.both} ca-file ${files.ca} verify required ssl-min-ver TLSv1.3 no-tls-tickets alpn http/1.1
  default_backend agent
backend agent
  server agent 127.0.0.1:${files.upstream} pool-max-conn -1
`;

const cluster = (name: string, port: number): unknown => ({
  name,
  type: 'STATIC',
  connect_timeout: '5s',
  // Its defaults, a thousand connections and requests at once, are more than the load has.
  load_assignment: {
    cluster_name: name,
    endpoints: [
      {
        lb_endpoints: [
          { endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } } },
        ],
      },
    ],
  },
});

const typed = (name: string, more: object): object => ({
  '@type': `type.googleapis.com/envoy.${name}`,
  ...more,
});

const authorization = (port: number): object => ({
  name: 'envoy.filters.http.ext_authz',
  typed_config: typed('extensions.filters.http.ext_authz.v3.ExtAuthz', {
    transport_api_version: 'V3',
    failure_mode_allow: false,
    http_service: {
      server_uri: { uri: `http://127.0.0.1:${port}`, cluster: 'authorizer', timeout: '5s' },
    },
    allowed_headers: {
      patterns: ['delegation-chain', 'x-forwarded-client-cert'].map((exact) => ({ exact })),
    },
  }),
});

export const envoyConfig = (files: PeerFiles): string => {
  const { authorizer } = files;
  const connections = typed('extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
    stat_prefix: 'door',
    codec_type: 'HTTP1',
    max_request_headers_kb: 60,
    forward_client_cert_details: 'SANITIZE_SET',
    set_current_client_cert_details: { uri: true },
    access_log: [
      {
        name: 'envoy.access_loggers.file',
        typed_config: typed('extensions.access_loggers.file.v3.FileAccessLog', { path: files.log }),
      },
    ],
    route_config: {
      virtual_hosts: [
        { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'agent' } }] },
      ],
    },
    http_filters: [
      ...(authorizer === undefined ? [] : [authorization(authorizer)]),
      {
        name: 'envoy.filters.http.router',
        typed_config: typed('extensions.filters.http.router.v3.Router', {}),
      },
    ],
  });
  const tls = typed('extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
    require_client_certificate: true,
    disable_stateless_session_resumption: true,
    common_tls_context: {
      alpn_protocols: ['http/1.1'],
      tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' },
      tls_certificates: [
        { certificate_chain: { filename: files.certificate }, private_key: { filename: files.key } },
      ],
      validation_context: { trusted_ca: { filename: files.ca } },
    },
  });
  return JSON.stringify({
    static_resources: {
      listeners: [
        {
          name: 'door',
          address: { socket_address: { address: '127.0.0.1', port_value: files.port } },
          filter_chains: [
            {
              transport_socket: { name: 'envoy.transport_sockets.tls', typed_config: tls },
              filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: connections }],
            },
          ],
        },
      ],
      clusters: [
        cluster('agent', files.upstream),
        ...(authorizer === undefined ? [] : [cluster('authorizer', authorizer)]),
      ],
    },
  });
};
