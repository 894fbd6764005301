import { describe, expect, it } from 'vitest';
import { AnswerReader, AnswerTooLong, formatRequest, NotHttp, type Whole } from './http.ts';

const read = (text: string, cuts: readonly number[] = []): Whole | undefined => {
  const bytes = Buffer.from(text);
  const reader = new AnswerReader();
  const edges = [0, ...cuts, bytes.length];
  let whole: Whole | undefined;
  for (const [index, start] of edges.slice(0, -1).entries()) {
    expect(whole).toBeUndefined();
    whole = reader.push(bytes.subarray(start, edges[index + 1]));
  }
  return whole ?? reader.end();
};

const answer = (status: number, body: string, headers: object = {}) => ({ status, body, headers });

const PLAIN = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: 1\r\na:  2 \r\n\r\n{"é}';
const CHUNKED =
  'HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n';
const CONTINUED = `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${PLAIN}`;

describe('AnswerReader', () => {
  it.each([
    ['of a known length', PLAIN, answer(200, '{"é}', { 'content-length': '5', a: '1, 2' })],
    ['in chunks', CHUNKED, answer(201, 'abc0123456789', { 'transfer-encoding': 'chunked' })],
    ['after others that only announce it', CONTINUED, answer(200, '{"é}', { 'content-length': '5', a: '1, 2' })],
    ['without a body', 'HTTP/1.1 204 No Content\r\n\r\n', answer(204, '')],
    ['with an empty one', 'HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n', answer(200, '', { 'content-length': '0' })],
  ])('reads an answer %s, wherever it is cut', (_, text, expected) => {
    const whole = { answer: expected, isReusable: true };
    expect(read(text)).toEqual(whole);
    const { length } = Buffer.from(text);
    for (let cut = 1; cut < length; cut++) {
      expect(read(text, [cut])).toEqual(whole);
    }
    expect(
      read(
        text,
        Array.from({ length: length - 1 }, (_, index) => index + 1),
      ),
    ).toEqual(whole);
  });

  it('reads until the connection is closed what has no length', () => {
    expect(read('HTTP/1.0 200 OK\r\n\r\nabc', [18, 20])).toEqual({ answer: answer(200, 'abc'), isReusable: false });
  });

  it.each([
    ['the server closes', PLAIN.replace('A: 1', 'Connection: Close')],
    ['the server is an old one', PLAIN.replace('1.1', '1.0')],
    ['more comes than was announced', `${PLAIN}x`],
  ])('leaves a connection when %s', (_, text) => {
    expect(read(text)?.isReusable).toBe(false);
  });

  it.each([
    ['nothing', ''],
    ['half a head', 'HTTP/1.1 200 OK\r\nContent-'],
    ['half a body', PLAIN.slice(0, -2)],
    ['a chunk too few', CHUNKED.slice(0, -20)],
    ['half a trailer', CHUNKED.slice(0, -2)],
  ])('has no answer when the connection ends after %s', (_, text) => {
    expect(read(text)).toBeUndefined();
  });

  it.each([
    'SSH-2.0-OpenSSH_9.2\r\n',
    '\u0015\u0003\u0003',
    'H2',
    'HTTP/2 200\r\n\r\n',
    'HTTP/1.1 ok\r\n\r\n',
    'HTTP/1.1 20 OK\r\n\r\n',
    'HTTP/1.1 101 Switching Protocols\r\n\r\n',
    'HTTP/1.1 200 OK\r\nno colon\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n',
    `HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(20_000)}`,
  ])('refuses what is not HTTP: %j', (text) => {
    expect(() => read(text)).toThrow(NotHttp);
  });

  it('refuses a body that does not end', () => {
    const reader = new AnswerReader();
    reader.push(Buffer.from('HTTP/1.1 200 OK\r\n\r\n'));
    const chunk = Buffer.alloc(1 << 26);
    expect(() => Array.from({ length: 5 }, () => reader.push(chunk))).toThrow(AnswerTooLong);
  });
});

describe('formatRequest', () => {
  it('has the length of the body in bytes', () => {
    expect(formatRequest('h:1', { method: 'POST', path: '/a?b=c', headers: { A: 'b' }, body: '"é"' })).toBe(
      'POST /a?b=c HTTP/1.1\r\nHost: h:1\r\nA: b\r\nContent-Length: 4\r\n\r\n"é"',
    );
    expect(formatRequest('h', { method: 'GET', path: '/', headers: {} })).toBe('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
  });

  it.each([
    [{ path: '/a b', headers: {} }],
    [{ path: '/a\r\nX: y', headers: {} }],
    [{ path: '/a', headers: { A: 'b\r\nX: y' } }],
  ])('refuses what would become another request: %j', (parts) => {
    expect(() => formatRequest('h', { method: 'GET', ...parts })).toThrow('characters that no header may have');
  });
});
