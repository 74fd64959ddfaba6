/**
 * `node:http` without its ES module face: that one reads every export, and with them loads a second undici (for
 * `WebSocket`), 13 MiB that a sidecar never uses.
 */
export const { createServer, METHODS, ServerResponse, STATUS_CODES } = process.getBuiltinModule('node:http');
