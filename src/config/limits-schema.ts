/** `limits` of a sidecar: bounds on everything that a peer can use up. docs/limits.md says what happens where one is reached. */
import { z } from 'zod';
import { bytes, duration, shortDuration } from './forms.ts';

/** A second. */
const rate = z.int().min(1).max(1_000_000);

export const limits = z
  .strictObject({
    connections: z.int().min(1).default(10_000).describe('Inbound connections.'),
    connectionsPerCaller: z
      .int()
      .min(1)
      .default(256)
      .describe('Inbound connections of one agent; more are hs_busy. Not less than its peerConnections.'),
    requests: z
      .int()
      .min(1)
      .default(4096)
      .describe(
        'Requests that may be under way here in total; more are sidecar_busy. The last quarter is for callers that have few.',
      ),
    requestsPerCaller: z
      .int()
      .min(1)
      .default(128)
      .describe('Requests that one agent may have under way here, streams included; more are caller_busy.'),
    requestsPerSecond: rate
      .default(5000)
      .describe('Requests of one agent; twice as many may come at once. More are caller_rate.'),
    taskRequestsPerSecond: rate
      .default(2000)
      .describe(
        'Requests of one task, whoever sends them; twice as many may come at once. More are task_rate.',
      ),
    readBytesPerSecond: bytes
      .prefault('4MiB')
      .describe(
        'Bodies of one agent that policy reads before it decides; twice as much may come at once, and one of any size. More are body_rate.',
      ),
    streams: z.int().min(1).max(1000).default(100).describe('Requests at once on one HTTP/2 connection.'),
    handshakes: z.int().min(1).default(256).describe('Handshakes in flight, in total. Full means refuse.'),
    handshakesPerSource: z.int().min(1).default(64).describe('The same for one source address.'),
    handshakesPerSecond: rate
      .default(200)
      .describe(
        'Handshakes of one source (an IPv6 /64 counts as one); five times as many may come at once. More are hs_busy.',
      ),
    handshakeTimeout: duration.prefault('5s').describe('TLS and handshake together.'),
    headersTimeout: duration.prefault('10s').describe('For the whole of a request’s headers.'),
    idleTimeout: duration.prefault('75s').describe('A connection without a request.'),
    bodyTimeout: duration.prefault('60s').describe('A request body that stands still.'),
    responseTimeout: duration
      .prefault('5m')
      .describe('Until the agent’s response headers. Streams have no total limit.'),
    bodyBytes: bytes.prefault('1GiB').describe('The largest request body.'),
    heldBytes: bytes
      .prefault('64MiB')
      .describe(
        'Bodies of one agent that are in memory at once, because policy reads them before it decides.',
      ),
    heldBytesInTotal: bytes
      .prefault('256MiB')
      .describe('The same for all agents together. The last quarter is for those that hold little.'),
    approvalBodyBytes: bytes
      .prefault('1MiB')
      .describe('The largest body that a human can approve: it is read whole before it is sent on.'),
    signedBodyBytes: bytes
      .prefault('1MiB')
      .describe(
        'The largest body of a signed request: it is read whole before it is sent on. A route that reads more for its protocol has that.',
      ),
    connectTimeout: duration.prefault('5s').describe('Connecting to the agent or to a peer.'),
    agentFailures: z
      .int()
      .min(1)
      .max(1000)
      .default(5)
      .describe(
        'So many times in a row the agent can’t be connected to, or answers one caller nothing: then it is left alone, and requests are upstream_unavailable.',
      ),
    agentCoolDown: duration
      .prefault('1s')
      .describe('How long it is left alone, until the sidecar tries its port again.'),
    tunnels: z
      .int()
      .min(1)
      .max(65_536)
      .default(256)
      .describe('Tunnels out of the mesh at once; more are egress_busy.'),
    tunnelIdle: duration.prefault('5m').describe('A tunnel through which nothing goes for so long ends.'),
    destinationConnections: z
      .int()
      .min(1)
      .max(1024)
      .default(16)
      .describe('Connections to one API beyond the mesh.'),
    peerConnections: z.int().min(1).max(1024).default(32).describe('Connections to one peer.'),
    contexts: z
      .int()
      .min(1)
      .default(10_000)
      .describe('Contexts held at once; the longest unused one goes first.'),
    contextIdle: duration
      .prefault('15m')
      .describe('A context that is not used for so long ends; a task that began here, with all its grants.'),
    mcpSessionIdle: duration
      .prefault('1h')
      .describe('An MCP session that is not used for so long ends here: its client initializes a new one.'),
    drainTimeout: duration
      .prefault('25s')
      .describe('From SIGTERM until all that is left is cut; streams are asked to end shortly before.'),
    drainNotice: shortDuration
      .prefault('3s')
      .describe(
        'From SIGTERM until it takes no new connections, where anybody is connected: for load balancers to notice that it is not ready.',
      ),
  })
  .prefault({});
