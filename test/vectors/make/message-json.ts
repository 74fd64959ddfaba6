/** Bodies as JSON and JSON-RPC: what two readers could take for two things. */
import type { Case } from './case.ts';
import { CALL, CALLED, headers, mcp, note, rpc, said } from './message-case.ts';

const CALL_TEXT = JSON.stringify(CALL);
const withNumber = (number: string): string => CALL_TEXT.replace('"x"', number);

const around = (): Case[] => [
  mcp('a call of a tool', CALL, said(false, CALLED)),
  mcp('a charset that says what JSON is', CALL, said(false, CALLED), {
    headers: ['content-type', 'Application/JSON; charset=UTF-8'],
  }),
  mcp('the charset in quotes', CALL, said(false, CALLED), {
    headers: ['content-type', 'application/json;charset="utf-8"'],
  }),
  mcp('a coding that is none', CALL, said(false, CALLED), headers('Content-Encoding', 'identity')),
  mcp('no media type', CALL, 'message_type', { headers: [] }),
  mcp('text as media type', CALL, 'message_type', { headers: ['Content-Type', 'text/plain'] }),
  mcp('two media types in one', CALL, 'message_type', {
    headers: ['Content-Type', 'application/json, text/plain'],
  }),
  mcp('a type with another parameter', CALL, 'message_type', {
    headers: ['Content-Type', 'application/json; profile=x'],
  }),
  mcp('the type of A2A’s other binding', CALL, 'message_type', {
    headers: ['Content-Type', 'application/a2a+json'],
  }),
  mcp('another charset', CALL, 'message_encoding', {
    headers: ['Content-Type', 'application/json; charset=utf-16'],
  }),
  mcp('a content coding', CALL, 'message_encoding', headers('Content-Encoding', 'gzip')),
  mcp('the type twice', CALL, 'message_ambiguous', headers('content-type', 'application/json')),
  mcp('the type with an underscore', CALL, 'message_ambiguous', {
    headers: ['Content_Type', 'application/json'],
  }),
];

const json = (): Case[] => [
  mcp('white space between tokens', CALL_TEXT.replaceAll(',', ' ,\r\n\t'), said(false, CALLED)),
  mcp('a byte order mark', `\ufeff${CALL_TEXT}`, 'message_encoding'),
  mcp('octets that are no UTF-8', '', 'message_encoding', {
    body: undefined,
    hex: Buffer.from(CALL_TEXT.replace('query', 'quer\u00e9'), 'latin1').toString('hex'),
  }),
  mcp('no body', '', 'message_malformed'),
  mcp('half a body', CALL_TEXT.slice(0, -1), 'message_malformed'),
  mcp('something behind the value', `${CALL_TEXT} 1`, 'message_malformed'),
  mcp('a comment', CALL_TEXT.replace('{', '{/**/'), 'message_malformed'),
  mcp('a comma too many', CALL_TEXT.replace('}}', ',}}'), 'message_malformed'),
  mcp('a name without quotes', CALL_TEXT.replace('"id"', 'id'), 'message_malformed'),
  mcp('NaN', withNumber('NaN'), 'message_malformed'),
  mcp('a number with a leading zero', withNumber('01'), 'message_malformed'),
  mcp(
    'as deep as is read',
    withNumber(`${'['.repeat(61)}${']'.repeat(61)}`),
    said(false, { ...CALLED, arguments: { q: JSON.parse(`${'['.repeat(61)}${']'.repeat(61)}`) } }),
  ),
  mcp('one deeper', withNumber(`${'['.repeat(62)}${']'.repeat(62)}`), 'message_malformed'),
  mcp('more arrays than its size explains', withNumber(`[${'[],'.repeat(8191)}0]`), 'message_malformed'),
  mcp('a member twice', CALL_TEXT.replace('"name":', '"name":"safe","name":'), 'message_ambiguous'),
  mcp(
    'twice, once with an escape',
    CALL_TEXT.replace('"name":', '"n\\u0061me":"safe","name":'),
    'message_ambiguous',
  ),
  mcp(
    'twice, once in another case',
    CALL_TEXT.replace('"name":', '"Name":"safe","name":'),
    'message_ambiguous',
  ),
  mcp(
    'twice in the arguments, in another case',
    CALL_TEXT.replace('"q":', '"Q":"safe","q":'),
    'message_ambiguous',
  ),
  mcp(
    'twice, once with a letter that folds to another',
    CALL_TEXT.replace('"q":"x"', '"key":"x","\u212aey":"y"'),
    'message_ambiguous',
  ),
  mcp('a member called __proto__', CALL_TEXT.replace('"q"', '"__proto__"'), 'message_ambiguous'),
  mcp('U+0000 in a name', CALL_TEXT.replace('"q"', '"q\\u0000"'), 'message_ambiguous'),
  mcp('a lone surrogate', CALL_TEXT.replace('"x"', '"\\ud800"'), 'message_ambiguous'),
  mcp(
    'a pair of surrogates',
    CALL_TEXT.replace('"x"', '"\\ud83d\\ude00"'),
    said(false, { ...CALLED, arguments: { q: '\u{1f600}' } }),
  ),
  mcp('a fraction', withNumber('0.1'), said(false, { ...CALLED, arguments: { q: 0.1 } })),
  mcp('an exponent', withNumber('1e3'), said(false, { ...CALLED, arguments: { q: 1000 } })),
  mcp(
    'the greatest integer',
    withNumber('9007199254740991'),
    said(false, { ...CALLED, arguments: { q: 2 ** 53 - 1 } }),
  ),
  mcp('one more', withNumber('9007199254740992'), 'message_ambiguous'),
  mcp('a negative zero', withNumber('-0'), 'message_ambiguous'),
  mcp('a negative zero with a fraction', withNumber('-0.0'), 'message_ambiguous'),
  mcp('a number that overflows', withNumber('1e400'), 'message_ambiguous'),
  mcp('a number that underflows', withNumber('1e-400'), 'message_ambiguous'),
  mcp('zero, written long', withNumber('0.0e-400'), said(false, { ...CALLED, arguments: { q: 0 } })),
];

const envelopes = (): Case[] => [
  mcp(
    'a notification',
    note('notifications/initialized'),
    said(false, { kind: 'notification', method: 'notifications/initialized' }),
  ),
  mcp(
    'an answer to the server',
    { jsonrpc: '2.0', id: 7, result: { ok: true } },
    said(false, { kind: 'response', method: 'response', id: 7 }),
  ),
  mcp(
    'an answer that says not to what',
    { jsonrpc: '2.0', error: { code: -32700, message: 'no' } },
    'message_malformed',
  ),
  mcp('another version', { ...CALL, jsonrpc: '1.0' }, 'message_malformed'),
  mcp('no version', { ...CALL, jsonrpc: undefined }, 'message_malformed'),
  mcp('a member that JSON-RPC does not know', { ...CALL, trace: 1 }, 'message_malformed'),
  mcp('a call and a result', { ...CALL, result: {} }, 'message_malformed'),
  mcp('a result and an error', { jsonrpc: '2.0', id: 1, result: {}, error: {} }, 'message_malformed'),
  mcp('the id null', rpc('ping', undefined, null), 'message_malformed'),
  mcp('the id a fraction', rpc('ping', undefined, 1.5), 'message_malformed'),
  mcp(
    'the id as text',
    rpc('ping', undefined, 'a'),
    said(false, { kind: 'request', method: 'ping', id: 'a' }),
  ),
  mcp('parameters by place', rpc('tools/call', ['query']), 'message_malformed'),
  mcp('an empty method', rpc(''), 'message_malformed'),
  mcp('our own word for an answer', rpc('response'), 'message_malformed'),
  mcp('our own word for no message', rpc('http:GET'), 'message_malformed'),
  mcp('a control character in the method', rpc('ping\u0000'), 'message_ambiguous'),
  mcp('text', '"tools/call"', 'message_malformed'),
  mcp(
    'an array',
    [CALL, note('notifications/cancelled', { requestId: 1 })],
    said(true, CALLED, { kind: 'notification', method: 'notifications/cancelled' }),
  ),
  mcp(
    'an array of the revision that has them',
    [CALL],
    said(true, CALLED),
    headers('MCP-Protocol-Version', '2025-03-26'),
  ),
  mcp(
    'an array of a later revision',
    [CALL],
    'message_malformed',
    headers('MCP-Protocol-Version', '2025-06-18'),
  ),
  mcp('an array with initialize', [rpc('initialize', {})], 'message_malformed'),
  mcp('an empty array', [], 'message_malformed'),
  mcp(
    '101 messages',
    Array.from({ length: 101 }, (_, id) => rpc('ping', undefined, id)),
    'message_malformed',
  ),
  mcp('two calls of one id', [CALL, CALL], 'message_ambiguous'),
  mcp(
    'two ids that some take for one',
    [rpc('ping', undefined, 1), rpc('ping', undefined, '1')],
    'message_ambiguous',
  ),
  mcp(
    'a call and an answer of one id',
    [rpc('ping'), { jsonrpc: '2.0', id: 1, result: {} }],
    said(true, { kind: 'request', method: 'ping', id: 1 }, { kind: 'response', method: 'response', id: 1 }),
  ),
];

export const jsonMessageCases = (): Case[] => [...around(), ...json(), ...envelopes()];
