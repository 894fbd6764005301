import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { loadNativeFile } from '../netns/native.ts';
import { clockOf } from './clock.ts';
import { KeyedMutex } from './keyed-mutex.ts';
import { FileLock, type LockUser } from './lock.ts';
import { temporaryFolder } from './testing/temporary.ts';

const ADDON = join(import.meta.dirname, `../../dist/native/linux-${process.arch}.node`);

describe('FileLock', () => {
  it('excludes a second holder in the same process, in the kernel', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'lock');
    // two processes, as far as the lock can tell
    const [one, other] = [1, 2].map((): LockUser => {
      const node = { native: loadNativeFile(ADDON), locks: new KeyedMutex() };
      return { node, signal: new AbortController().signal, ...clockOf() };
    }) as [LockUser, LockUser];
    const order: string[] = [];
    const first = await FileLock.acquire(one, path);
    await expect(FileLock.acquire(other, path, { timeoutMs: 5 })).rejects.toMatchObject({ code: 11 });
    const waiting = FileLock.acquire(other, path).then((lock) => {
      order.push('second');
      lock[Symbol.dispose]();
    });
    await sleep(10);
    order.push('first lets go');
    first[Symbol.dispose]();
    await waiting;
    expect(order).toEqual(['first lets go', 'second']);
  });
});
