/** The service itself: is it alive, is it ready, what can it do, and what has happened. */
import { z } from 'zod';
import { endpoint } from './endpoint.ts';
import { noBody, none, queryInteger } from './forms.ts';

export const ledgerEvent = z.strictObject({
  seq: z.int().min(1),
  hash: z.string().describe('base64url SHA-256 of the line.'),
  line: z.string().describe('The line of the ledger, with its hash, octet for octet.'),
});

export const serviceEndpoints = {
  getHealth: endpoint({
    name: 'getHealth',
    method: 'GET',
    path: '/healthz',
    summary: 'Whether the verifier runs',
    access: 'anyone',
    changes: false,
    params: none,
    query: none,
    body: noBody,
    answer: z.strictObject({ status: z.literal('ok') }),
    status: 200,
  }),
  getReadiness: endpoint({
    name: 'getReadiness',
    method: 'GET',
    path: '/readyz',
    summary: 'Whether the verifier can issue and publish',
    access: 'anyone',
    changes: false,
    params: none,
    query: none,
    body: noBody,
    answer: z.strictObject({ status: z.literal('ready') }),
    status: 200,
  }),
  getOpenApi: endpoint({
    name: 'getOpenApi',
    method: 'GET',
    path: '/v1/openapi.json',
    summary: 'This document',
    access: 'anyone',
    changes: false,
    params: none,
    query: none,
    body: noBody,
    answer: z.looseObject({ openapi: z.literal('3.1.0') }),
    status: 200,
  }),
  listEvents: endpoint({
    name: 'listEvents',
    method: 'GET',
    path: '/v1/events',
    summary: 'The ledger: every change, who made it and why',
    access: ['admin', 'operator', 'auditor'],
    changes: false,
    params: none,
    query: z.strictObject({
      after: queryInteger(0, Number.MAX_SAFE_INTEGER).default(0).describe('seq of the last known event.'),
      limit: queryInteger(1, 1000).default(100).describe('The most that is answered.'),
    }),
    body: noBody,
    answer: z.strictObject({ events: z.array(ledgerEvent) }),
    status: 200,
  }),
};
