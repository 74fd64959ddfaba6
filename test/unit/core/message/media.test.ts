import { describe, expect, test } from 'vitest';
import { A2A_REST_TYPES, checkMedia, readMessageHeaders } from '../../../../src/core/message/media.ts';

const check = (contentType: string | undefined, contentEncoding?: string, types?: readonly string[]) =>
  checkMedia({ contentType, contentEncoding }, types)?.reason;

describe('the media type of a message', () => {
  test.each([
    'application/json',
    'Application/JSON',
    'application/json; charset=utf-8',
    'application/json;charset=UTF-8',
    'application/json; charset="utf-8"',
  ])('%s', (type) => {
    expect(check(type)).toBeUndefined();
    expect(check(type, 'identity')).toBeUndefined();
  });

  test('A2A over REST has one of its own, which is no other’s', () => {
    expect(check('application/a2a+json', undefined, A2A_REST_TYPES)).toBeUndefined();
    expect(check('application/json', undefined, A2A_REST_TYPES)).toBeUndefined();
    expect(check('application/a2a+json')).toBe('message_type');
  });

  test.each([
    undefined,
    '',
    'text/plain',
    'application/json, text/plain',
    'application/json application/xml',
    'text/plain; application/json',
    'application/jsonp',
    'application/json-rpc',
    'application/json; charset=utf-8; charset=utf-16',
    'application/json; boundary=x',
    'application/json;',
    'application/json; charset=utf-8; profile=x',
    'application/json; charset="utf-8',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=application/json',
    'application/ json',
  ])('%s is refused', (type) => {
    expect(check(type)).toBe('message_type');
  });

  test.each(['utf-16', 'utf-16le', 'utf-7', 'iso-8859-1', 'utf8', 'us-ascii', 'ibm037'])(
    'the charset %s is refused',
    (charset) => {
      expect(check(`application/json; charset=${charset}`)).toBe('message_encoding');
    },
  );

  test.each(['gzip', 'br', 'deflate', 'identity, gzip', '', 'x-gzip', 'aws-chunked'])(
    'the coding %s is refused',
    (coding) => {
      expect(check('application/json', coding)).toBe('message_encoding');
    },
  );
});

describe('headers that say what the message is', () => {
  const read = (...list: string[]) => {
    const verdict = readMessageHeaders(list);
    return verdict.ok ? verdict.value : verdict.reason;
  };

  test('are found in any case, and others passed over', () => {
    expect(
      read(
        'Host',
        'x',
        'CONTENT-TYPE',
        'a/b',
        'Mcp-Method',
        'ping',
        'MCP-Param-Region',
        'eu',
        'mcp-param-a',
        '1',
      ),
    ).toEqual({
      contentType: 'a/b',
      contentEncoding: undefined,
      mcpProtocolVersion: undefined,
      mcpMethod: 'ping',
      mcpName: undefined,
      mcpParams: ['eu', '1'],
    });
  });

  test.each([
    ['a content type twice', ['Content-Type', 'application/json', 'content-type', 'text/plain']],
    ['the same method twice', ['Mcp-Method', 'ping', 'Mcp-Method', 'ping']],
    ['an empty one before another', ['Mcp-Name', '', 'Mcp-Name', 'x']],
    ['a parameter twice', ['Mcp-Param-A', '1', 'mcp-param-a', '2']],
    ['an underscore that CGI servers take for a hyphen', ['Content_Type', 'application/json']],
    ['an underscore in a parameter', ['Mcp_Param-A', '1']],
    ['an underscore in the coding', ['content_encoding', 'gzip']],
  ])('attack: %s', (_, list) => {
    expect(read(...list)).toBe('message_ambiguous');
  });
});
