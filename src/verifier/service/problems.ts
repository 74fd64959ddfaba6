/** Every error as `application/problem+json` (RFC 9457) with its reason code. */
import type { z } from 'zod';
import { REASONS } from '../../core/reasons.ts';
import { type Denial, deny } from '../../core/verdict.ts';
import { type Problem, problemOf } from '../../edge/http/problem.ts';
import { Refusal } from '../refusal.ts';
import { ConflictError, StoreError } from '../store/store.ts';

export const PROBLEM = 'application/problem+json';

const INTERNAL = deny('internal', 'a fault in the verifier; its log says more');

/** Of Fastify, by code (docs: Errors). */
const FRAMEWORK: Readonly<Record<string, Denial>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: deny('api_too_large', 'the body is larger than this endpoint takes'),
  FST_ERR_CTP_INVALID_MEDIA_TYPE: deny('api_malformed', 'the body must be application/json'),
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: deny('api_malformed', 'the body is not as long as Content-Length says'),
  FST_ERR_BAD_URL: deny('api_malformed', 'the path is not well-formed'),
};

const MAX_ISSUES = 5;

/** What is wrong with a request, by field. Values are never repeated: they may be secrets. */
export const describeIssues = (where: string, error: z.ZodError): string =>
  error.issues
    .slice(0, MAX_ISSUES)
    .map(
      ({ path, message }) =>
        `${[where, ...path.map(String)].join('.').slice(0, 200)}: ${message.slice(0, 300)}`,
    )
    .join('; ');

/** A request that we refuse by ourselves. */
export class Malformed extends Error {
  readonly denial: Denial;
  constructor(denial: Denial) {
    super(denial.detail);
    this.denial = denial;
  }
}

/** The denial of an error; `fault` when it is one of ours and belongs into the log. */
export const denialOf = (error: unknown): { readonly denial: Denial; readonly fault: boolean } => {
  if (error instanceof Malformed) return { denial: error.denial, fault: false };
  if (error instanceof Refusal)
    return { denial: deny(error.reason, error.message), fault: REASONS[error.reason].status >= 500 };
  if (error instanceof ConflictError)
    return {
      denial: deny('api_conflict', 'somebody else changed it, or it exists already: read it again'),
      fault: false,
    };
  if (error instanceof StoreError)
    return {
      denial: deny('api_unavailable', 'the verifier can’t write or read its store; nothing was changed'),
      fault: true,
    };
  const known = FRAMEWORK[(error as { readonly code?: string } | null)?.code ?? ''];
  return known === undefined ? { denial: INTERNAL, fault: true } : { denial: known, fault: false };
};

/** Whoever calls the API sees every code; what a fault of ours was stands in our log only. */
export const problemFor = (denial: Denial): Problem =>
  problemOf(denial.reason === 'internal' ? INTERNAL : denial, '', true);
