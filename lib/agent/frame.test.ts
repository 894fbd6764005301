import { describe, expect, it } from 'vitest';
import { answerBytes, HEADER_BYTES, MalformedRequest, MOST_STDIN, readBody, readHeader } from './frame.ts';
import { requestBytes } from './testing/request.ts';

describe('readHeader', () => {
  it('refuses what no launcher sends', () => {
    const good = requestBytes({ name: 'macvlan' });
    const broken = [
      Buffer.alloc(HEADER_BYTES),
      Buffer.from('GET / HTTP/1.1\r\n'),
      requestBytes({ name: 'macvlan', words: 0 }),
      requestBytes({ name: 'macvlan', stdinLength: MOST_STDIN + 1 }),
      Buffer.concat([good.subarray(0, 12), Buffer.from([2, 0, 0, 0])]),
    ];
    for (const bytes of broken) {
      expect(() => readHeader(bytes)).toThrow(MalformedRequest);
    }
  });

  it('reads or refuses any bytes', () => {
    for (let round = 0; round < 20_000; round++) {
      const bytes = requestBytes({ name: 'macvlan', env: ['A=b'] });
      for (let changes = 1 + (round % 3); changes > 0; changes--) {
        bytes[Math.floor(Math.random() * bytes.length)] = Math.floor(Math.random() * 256);
      }
      try {
        const header = readHeader(bytes);
        readBody(header, bytes.subarray(HEADER_BYTES));
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedRequest);
      }
    }
  });
});

describe('readBody', () => {
  it('finds the name, the environment as getenv(3) would, and stdin', () => {
    const env = ['CNI_COMMAND=ADD', 'PATH=/a=b', 'PATH=/second', 'nothing', '=odd', '__proto__=x'];
    const bytes = requestBytes({ name: 'multus', env, stdin: '{}' });
    const request = readBody(readHeader(bytes), bytes.subarray(HEADER_BYTES));
    expect(request.name).toBe('multus');
    expect(Object.entries(request.env)).toEqual([
      ['CNI_COMMAND', 'ADD'],
      ['PATH', '/a=b'],
      ['__proto__', 'x'],
    ]);
    expect(request.stdin.toString()).toBe('{}');
  });

  it('refuses words without an end', () => {
    const bytes = requestBytes({ name: 'multus', stdin: '{}', words: 5 });
    expect(() => readBody(readHeader(bytes), bytes.subarray(HEADER_BYTES))).toThrow(MalformedRequest);
  });
});

describe('answerBytes', () => {
  it('has lengths, exit code and both streams', () => {
    const bytes = answerBytes({ stdout: '{"ü":1}', stderr: 'one line\n', exitCode: 1 });
    expect([bytes[0], bytes[1], bytes.readUInt32LE(4), bytes.readUInt32LE(8)]).toEqual([65, 1, 8, 9]);
    expect(bytes.toString('utf8', 12)).toBe('{"ü":1}one line\n');
  });

  it('makes an error of what no launcher takes', () => {
    const bytes = answerBytes({ stdout: 'x'.repeat(MOST_STDIN + 1), stderr: '', exitCode: 0 });
    expect(bytes[1]).toBe(1);
    expect(JSON.parse(bytes.toString('utf8', 12))).toMatchObject({ code: 999 });
  });
});
