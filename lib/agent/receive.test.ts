import { describe, expect, it } from 'vitest';
import { Places } from '../sys/places.ts';
import type { Caller } from './caller.ts';
import { MalformedRequest } from './frame.ts';
import { CHUNK, makeChunk, receiveRequest } from './receive.ts';
import { requestBytes, type Wanted } from './testing/request.ts';

/** A caller whose bytes come in pieces. */
function callerOf(bytes: Buffer, most: () => number, descriptor = -1): Caller {
  let at = 0;
  const read = async (into: Buffer): Promise<Buffer> => {
    await Promise.resolve();
    const part = bytes.subarray(at, at + Math.min(into.length, Math.max(1, most())));
    at += part.length;
    return part;
  };
  return { descriptor, read, limit: () => undefined } as unknown as Caller;
}

const whole = (): number => CHUNK;
const receive = (bytes: Buffer, most = whole, descriptor = -1, large = new Places(1)) =>
  receiveRequest(callerOf(bytes, most, descriptor), makeChunk(), large);

describe('receiveRequest', () => {
  const wanted: Wanted = { name: 'macvlan', env: ['CNI_COMMAND=ADD'], stdin: '{"a":1}' };

  it('reads a request that comes in pieces of any size', async () => {
    for (const size of [1, 2, 15, 16, 17, 1000]) {
      const received = await receive(requestBytes(wanted), () => size);
      expect(received?.request).toMatchObject({ name: 'macvlan', stdin: Buffer.from('{"a":1}') });
    }
  });

  it('gives a large request memory when it has a place', async () => {
    const large = new Places(1);
    const bytes = requestBytes({ ...wanted, stdin: 'x'.repeat(3 * CHUNK) });
    const first = await receive(bytes, whole, -1, large);
    let isThere = false;
    const second = receive(bytes, whole, -1, large).then((received) => {
      isThere = true;
      return received;
    });
    await new Promise(setImmediate);
    expect(isThere).toBe(false);
    first?.[Symbol.dispose]();
    expect((await second)?.request.stdin.length).toBe(3 * CHUNK);
  });

  it('gives the place back when the rest does not come', async () => {
    const large = new Places(1);
    const bytes = requestBytes({ ...wanted, stdin: 'x'.repeat(3 * CHUNK) });
    await expect(receive(bytes.subarray(0, -1), whole, -1, large)).rejects.toThrow(MalformedRequest);
    expect((await receive(bytes, whole, -1, large))?.request.name).toBe('macvlan');
  });

  it.each([
    ['nothing to read a header from', Buffer.from('BRD1')],
    ['less than announced', requestBytes({ ...wanted, stdinLength: 8 })],
    ['more than announced', requestBytes({ ...wanted, stdinLength: 6 })],
    ['no descriptor though one is announced', requestBytes({ ...wanted, hasDescriptor: true })],
  ])('refuses %s', async (_, bytes) => {
    await expect(receive(bytes)).rejects.toThrow(MalformedRequest);
  });

  it('refuses a descriptor that nobody has announced', async () => {
    await expect(receive(requestBytes(wanted), whole, 7)).rejects.toThrow(MalformedRequest);
  });

  it('tells of a caller who says nothing', async () => {
    expect(await receive(Buffer.alloc(0))).toBeUndefined();
  });

  it('reads or refuses whatever comes, in whatever pieces', async () => {
    for (let round = 0; round < 2000; round++) {
      const bytes = requestBytes(wanted);
      bytes[Math.floor(Math.random() * bytes.length)] = Math.floor(Math.random() * 256);
      try {
        await receive(
          bytes.subarray(0, bytes.length - (round % 5)),
          () => Math.ceil(Math.random() * 40),
          round % 7 === 0 ? 7 : -1,
        );
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedRequest);
      }
    }
  });
});
