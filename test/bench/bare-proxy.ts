/** The barest mTLS reverse proxy that one would write with undici: what a sidecar costs is measured against this. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { Pool } from 'undici';

const [directory = '', upstream = ''] = process.argv.slice(2);
const read = (name: string): string => readFileSync(`${directory}/${name}`, 'utf8');
const pool = new Pool(`http://127.0.0.1:${upstream}`, { connections: 256, pipelining: 1 });

const server = createServer(
  {
    cert: read('svid.pem'),
    key: read('svid.key'),
    ca: read('../ca.pem'),
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.3',
    noDelay: true,
  },
  (request, response) => {
    const body =
      request.headers['content-length'] === undefined && request.headers['transfer-encoding'] === undefined
        ? null
        : request;
    const { connection: _connection, ...headers } = request.headers;
    pool
      .request({ path: request.url ?? '/', method: (request.method ?? 'GET') as 'GET', headers, body })
      .then((answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.body.pipe(response);
      })
      .catch(() => response.writeHead(502).end());
  },
);
// Connections that rest between rounds stay.
server.keepAliveTimeout = 3_600_000;
server.listen(0, '127.0.0.1', () => process.send?.(server.address()));
process.on('SIGTERM', () => process.exit(0));
