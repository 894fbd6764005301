import { describe, expect, it } from 'vitest';
import { seeded } from '../sys/testing/seeded.ts';
import { Ended, ExchangeReader, requestBytes } from './exchange.ts';
import { FLAG, FRAME, FrameReader, frame, NotHttp2 } from './frames.ts';
import { encodeHeaders } from './hpack.ts';

const SETTINGS = frame(FRAME.settings, 0, 0);
const ACK = frame(FRAME.settings, FLAG.ack, 0);
const HEADERS = encodeHeaders({ ':status': '200', 'content-type': 'application/grpc' });
const TRAILERS = encodeHeaders({ 'grpc-status': '0' });
const BODY = Buffer.from('the answer');
const whole = (...frames: readonly Buffer[]): Buffer => Buffer.concat(frames);

const ANSWER = whole(
  SETTINGS,
  frame(FRAME.headers, FLAG.endHeaders, 1, HEADERS),
  frame(FRAME.data, 0, 1, BODY),
  frame(FRAME.headers, FLAG.endHeaders | FLAG.endStream, 1, TRAILERS),
);

function read(answer: Buffer, piece = answer.length, longest = 1000) {
  const reader = new ExchangeReader(longest);
  const replies: Buffer[] = [];
  for (let at = 0; at < answer.length; at += piece) {
    replies.push(reader.push(answer.subarray(at, at + piece)));
  }
  const { isComplete, headers, body } = reader;
  return { isComplete, status: headers['grpc-status'], body: body.toString(), replies: whole(...replies) };
}

const COMPLETE = { isComplete: true, status: '0', body: 'the answer', replies: ACK };

describe('ExchangeReader', () => {
  it.each([1, 2, 7, 1000])('reads an answer that comes in pieces of %i bytes', (piece) => {
    expect(read(ANSWER, piece)).toEqual(COMPLETE);
  });

  it('is not complete before the end of the stream', () => {
    for (let length = 0; length < ANSWER.length; length++) {
      expect(read(ANSWER.subarray(0, length)).isComplete).toBe(false);
    }
  });

  it('reads one that is all in its headers', () => {
    const headers = encodeHeaders({ ':status': '200', 'grpc-status': '5' });
    const answer = whole(SETTINGS, frame(FRAME.headers, FLAG.endHeaders | FLAG.endStream, 1, headers));
    expect(read(answer)).toMatchObject({ isComplete: true, status: '5', body: '' });
  });

  it('reads headers in parts, with padding and priority, and data in parts, with padding', () => {
    const padded = (start: Buffer, content: Buffer): Buffer =>
      whole(Buffer.of(3), start, content, Buffer.from([0, 0, 0]));
    const priority = Buffer.alloc(5);
    const answer = whole(
      SETTINGS,
      frame(FRAME.headers, FLAG.padded | FLAG.priority, 1, padded(priority, HEADERS.subarray(0, 4))),
      frame(FRAME.continuation, 0, 1, HEADERS.subarray(4, 5)),
      frame(FRAME.continuation, FLAG.endHeaders, 1, HEADERS.subarray(5)),
      frame(FRAME.data, FLAG.padded, 1, padded(Buffer.alloc(0), BODY.subarray(0, 3))),
      frame(FRAME.data, 0, 1),
      frame(FRAME.data, 0, 1, BODY.subarray(3)),
      frame(FRAME.headers, FLAG.endStream, 1, TRAILERS.subarray(0, 2)),
      frame(FRAME.continuation, FLAG.endHeaders, 1, TRAILERS.subarray(2)),
    );
    expect(read(answer)).toEqual(COMPLETE);
    expect(read(answer, 1)).toEqual(COMPLETE);
  });

  it('answers what a server wants to know, and passes over what is not about the call', () => {
    const ping = Buffer.from('01234567');
    const answer = whole(
      SETTINGS,
      frame(FRAME.ping, 0, 0, ping),
      frame(FRAME.ping, FLAG.ack, 0, ping),
      ACK,
      frame(FRAME.windowUpdate, 0, 0, Buffer.from([0, 0, 1, 0])),
      frame(FRAME.windowUpdate, 0, 1, Buffer.from([0, 0, 1, 0])),
      frame(99, 0xff, 1, ping), // RFC 9113, 5.5: unknown types are passed over
      frame(FRAME.goAway, 0, 0, Buffer.from('7fffffff00000000', 'hex')),
      frame(FRAME.reset, 0, 3, Buffer.alloc(4)),
      ANSWER.subarray(SETTINGS.length),
      frame(FRAME.reset, 0, 1, Buffer.alloc(4)), // grpc-go, when it has not read everything
      frame(FRAME.goAway, 0, 0, Buffer.alloc(8)),
    );
    expect(read(answer)).toEqual({ ...COMPLETE, replies: whole(ACK, frame(FRAME.ping, FLAG.ack, 0, ping)) });
  });

  it.each([
    ['resets the call', frame(FRAME.reset, 0, 1, Buffer.from('0000000b', 'hex')), 'it ends the call (HTTP/2 error 11)'],
    ['goes away', frame(FRAME.goAway, 0, 0, Buffer.from('0000000000000002', 'hex')), 'it goes away (HTTP/2 error 2)'],
    ['promises something', frame(FRAME.pushPromise, FLAG.endHeaders, 1), 'a promise, which is not allowed'],
    ['sends a frame that is too long', Buffer.from('004001000000000001', 'hex'), 'a frame of 16385 bytes'],
    [
      'interrupts headers',
      whole(frame(FRAME.headers, 0, 1), frame(FRAME.data, 0, 1)),
      'headers that are not in one piece',
    ],
    ['goes on without headers', frame(FRAME.continuation, 0, 1), 'headers that are not in one piece'],
    [
      'goes on with the headers of another',
      whole(frame(FRAME.headers, 0, 1), frame(FRAME.continuation, FLAG.endHeaders, 3)),
      'headers that are not in one piece',
    ],
    [
      'goes on with headers for ever',
      whole(
        frame(FRAME.headers, 0, 1),
        ...Array<Buffer>(5).fill(frame(FRAME.continuation, 0, 1, Buffer.alloc(16_384))),
      ),
      'headers that have no end',
    ],
    [
      'pads more than there is',
      frame(FRAME.data, FLAG.padded, 1, Buffer.from([3, 0, 0])),
      'more padding than there is',
    ],
    ['sends too much', frame(FRAME.data, 0, 1, Buffer.alloc(1001)), 'too long'],
  ])('fails when the server %s', (_, frames, why) => {
    expect(() => read(whole(SETTINGS, frames))).toThrow(why);
  });

  it('fails when the server does not begin with settings', () => {
    expect(() => read(frame(FRAME.ping, 0, 0, Buffer.alloc(8)))).toThrow('no settings at the beginning');
    expect(() => read(Buffer.from('HTTP/1.1 400 Bad Request'))).toThrow('a frame of 4740180 bytes');
  });
});

describe('an answer that is damaged', () => {
  const { seed, below } = seeded();
  it(`is read or refused, never anything else (seed ${seed})`, () => {
    for (let round = 0; round < 5000; round++) {
      const damaged = Buffer.from(ANSWER);
      for (let left = 1 + below(4); left > 0; left--) {
        damaged[below(damaged.length)] = below(256);
      }
      const cut = damaged.subarray(0, 1 + below(damaged.length));
      try {
        read(cut, 1 + below(cut.length));
      } catch (error) {
        expect(error).toBeOneOf([expect.any(NotHttp2), expect.any(Ended)]);
      }
    }
  });
});

describe('requestBytes', () => {
  it('has everything that a call needs', () => {
    const bytes = requestBytes({ ':method': 'POST', te: 'trailers' }, Buffer.from('x'));
    const expected = [
      '505249202a20485454502f322e300d0a0d0a534d0d0a0d0a', // the preface
      '000012040000000000 000100000000 000200000000 00047fffffff', // no table, no promises, the largest window
      '000004080000000000 7fff0000', // also for the connection
      '00001b010400000001 00073a6d6574686f6404504f5354 0002746508747261696c657273',
      '000001000100000001 78',
    ];
    expect(bytes.toString('hex')).toBe(expected.join('').replaceAll(' ', ''));
    const frames = new FrameReader().push(bytes.subarray(24));
    expect(frames.map(({ type, stream }) => [type, stream])).toEqual([
      [FRAME.settings, 0],
      [FRAME.windowUpdate, 0],
      [FRAME.headers, 1],
      [FRAME.data, 1],
    ]);
  });

  it('refuses a request that does not fit into a frame', () => {
    expect(requestBytes({}, Buffer.alloc(16_384)).length).toBeGreaterThan(16_384);
    expect(() => requestBytes({}, Buffer.alloc(16_385))).toThrow('the request is longer than 16384 bytes');
  });
});
