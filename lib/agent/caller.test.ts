import { describe, expect, it } from 'vitest';
import type { Native } from '../netns/native.ts';
import { AGAIN, Caller } from './caller.ts';

/** Descriptors that no process has, so that closing them closes nothing. */
const FIRST = 1_000_000;

describe('Caller', () => {
  it('shares the buffer that it reads into with others who read at the same time', async () => {
    const native = {
      receiveBytes: (fd: number, into: Buffer, descriptor: Buffer) => {
        descriptor.writeInt32LE(-1);
        return into.write(`call ${fd - FIRST}`);
      },
    } as unknown as Native;
    const chunk = Buffer.alloc(100);
    const callers = [1, 2, 3].map((number) => new Caller(native, FIRST + number));
    const read = await Promise.all(callers.map((caller) => caller.read(chunk)));
    expect(read.map(String)).toEqual(['call 1', 'call 2', 'call 3']);
  });

  it('waits until it may read, and until it may write', async () => {
    const wanted: number[] = [];
    let happen: () => void = () => undefined;
    let turns = 0;
    const native = {
      receiveBytes: (_fd: number, into: Buffer, descriptor: Buffer) => {
        descriptor.writeInt32LE(-1);
        return turns++ === 0 ? AGAIN : into.write('late');
      },
      sendBytes: (_fd: number, bytes: Buffer) => (turns++ % 2 === 0 ? AGAIN : Math.min(bytes.length, 2)),
      watch: (_fd: number, events: number, call: () => void) => {
        wanted.push(events);
        happen = call;
        setImmediate(() => happen());
        return 0;
      },
    } as unknown as Native;
    const caller = new Caller(native, FIRST);
    expect(String(await caller.read(Buffer.alloc(10)))).toBe('late');
    await caller.write(Buffer.from('four'));
    expect(wanted).toEqual([1, 2, 2]);
  });

  it('ends a wait when time is up, also one that begins later', async () => {
    const native = {
      receiveBytes: (_fd: number, _into: Buffer, descriptor: Buffer) => {
        descriptor.writeInt32LE(-1);
        return AGAIN;
      },
      watch: () => 0,
    } as unknown as Native;
    const caller = new Caller(native, FIRST);
    caller.limit(5);
    await expect(caller.read(Buffer.alloc(10))).rejects.toThrow('it took longer than 0.005 s');
    await expect(caller.read(Buffer.alloc(10))).rejects.toThrow('it took longer than 0.005 s');
  });
});
