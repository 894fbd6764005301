import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadNativeFile } from '../netns/native.ts';
import { FileLock, type LockHost } from './lock.ts';
import { temporaryFolder } from './testing/temporary.ts';

const ADDON = join(import.meta.dirname, `../../dist/native/linux-${process.arch}.node`);

describe('FileLock', () => {
  it('excludes a second holder in the same process, in the kernel', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'lock');
    const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
    const host: LockHost = { native: loadNativeFile(ADDON), sleep };
    const order: string[] = [];
    const first = await FileLock.acquire(host, path);
    await expect(FileLock.acquire(host, path, { timeoutMs: 5 })).rejects.toMatchObject({ code: 11 });
    const waiting = FileLock.acquire(host, path).then((lock) => {
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
