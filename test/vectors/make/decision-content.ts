/** What content rules find in a body that is held, and what follows. */
import type { Case } from './case.ts';
import { observing } from './decision-restraints.ts';
import { allow, DESCRIBE, decide, deny } from './decision-standing.ts';
import { POLICY, TYPE } from './policy-required.ts';

type Edit = Readonly<Record<string, unknown>>;

const CONTENT = {
  name: 'words',
  directions: ['request'],
  patterns: { ticket: 'TICKET-[0-9]{4}' },
  action: 'deny',
  mode: 'hold',
  holdBytes: 64,
};
const looking = (edit: Edit, ...more: readonly Edit[]) => ({
  ...POLICY,
  rules: [allow()],
  content: [{ ...CONTENT, ...edit }, ...more],
});
const told = (action: string, pattern: string, rule = 'words') => ({ content: [{ action, pattern, rule }] });
const FOUND = { body: 'see TICKET-1234', headers: ['Content-Type', 'text/plain'] };
const PLAIN = { body: 'see nothing', headers: ['Content-Type', 'text/plain'] };

export const contentCases = (): Case[] => [
  decide('a body in which nothing is found', 'ok', { policy: looking({}), request: PLAIN }, DESCRIBE),
  decide(
    'a pattern that is found',
    'content_denied',
    { policy: looking({}), request: FOUND },
    DESCRIBE,
    told('deny', 'patterns/ticket'),
  ),
  decide(
    'a pattern behind an escape of JSON',
    'content_denied',
    {
      policy: looking({}),
      request: { body: '{"a":"TICKET\\u002d1234"}', headers: ['Content-Type', 'application/json'] },
    },
    DESCRIBE,
    told('deny', 'patterns/ticket'),
  ),
  decide(
    'a pattern in another case',
    'ok',
    { policy: looking({}), request: { ...FOUND, body: 'see ticket-1234' } },
    DESCRIBE,
  ),
  decide(
    'a content rule for another route',
    'ok',
    { policy: looking({ routes: ['reports'] }), request: FOUND },
    DESCRIBE,
  ),
  decide(
    'a content rule for another callee',
    'ok',
    { policy: looking({ callees: [TYPE('billing')] }), request: FOUND },
    DESCRIBE,
  ),
  decide(
    'a content rule for responses',
    'ok',
    { policy: looking({ directions: ['response'] }), request: FOUND },
    DESCRIBE,
  ),
  decide(
    'a media type that it does not let through',
    'content_type',
    { policy: looking({ types: ['application/json'] }), request: PLAIN },
    DESCRIBE,
    told('deny', 'type'),
  ),
  decide(
    'a family of media types',
    'ok',
    { policy: looking({ types: ['text/*'] }), request: PLAIN },
    DESCRIBE,
  ),
  decide(
    'as large as it lets through',
    'ok',
    { policy: looking({ maxBytes: 11 }), request: PLAIN },
    DESCRIBE,
  ),
  decide(
    'one octet more',
    'content_too_large',
    { policy: looking({ maxBytes: 10 }), request: PLAIN },
    DESCRIBE,
    told('deny', 'size'),
  ),
  decide(
    'a charset that can’t be read',
    'content_unreadable',
    { policy: looking({}), request: { ...PLAIN, headers: ['Content-Type', 'text/plain; charset=utf-16'] } },
    DESCRIBE,
    told('deny', 'reading'),
  ),
  decide(
    'a rule in shadow',
    'ok',
    {
      policy: looking({ shadow: true }, { ...CONTENT, name: 'other', patterns: { never: 'nevermore' } }),
      request: FOUND,
    },
    DESCRIBE,
    told('shadow', 'patterns/ticket'),
  ),
  decide(
    'content that is kept aside',
    'quarantined',
    { policy: looking({ action: 'quarantine' }), request: FOUND },
    DESCRIBE,
    told('quarantine', 'patterns/ticket'),
  ),
  decide(
    'content that a reviewer released',
    'ok',
    { policy: looking({ action: 'quarantine' }), request: { ...FOUND, released: true } },
    DESCRIBE,
  ),
  decide(
    'released, and denied by another rule',
    'content_denied',
    {
      policy: looking({ action: 'quarantine' }, { ...CONTENT, name: 'other' }),
      request: { ...FOUND, released: true },
    },
    DESCRIBE,
    told('deny', 'patterns/ticket', 'other'),
  ),
  decide(
    'deny before quarantine',
    'content_denied',
    { policy: looking({ action: 'quarantine' }, { ...CONTENT, name: 'other' }), request: FOUND },
    DESCRIBE,
  ),
  decide('no body', 'ok', { policy: looking({ types: ['application/json'] }) }, DESCRIBE),
  decide(
    'rules of policy come first',
    'rule_denied',
    { policy: { ...looking({}), rules: [deny()] }, request: FOUND },
    DESCRIBE,
  ),
  decide(
    'observed: content',
    'ok',
    { policy: { ...observing({ rules: [allow()] }), content: [CONTENT] }, request: FOUND },
    DESCRIBE,
    { observed: 'content_denied' },
  ),
];
