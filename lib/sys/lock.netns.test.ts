import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { loadNativeFile } from '../netns/native.ts';
import { clockOf } from './clock.ts';
import { KeyedMutex } from './keyed-mutex.ts';
import { FileLock, type LockUser, removeStaleLocks } from './lock.ts';
import { temporaryFolder } from './testing/temporary.ts';

const ADDON = join(import.meta.dirname, `../../dist/native/linux-${process.arch}.node`);

/** A process, as far as a lock can tell. */
function user(): LockUser {
  const node = { native: loadNativeFile(ADDON), locks: new KeyedMutex() };
  return { node, signal: new AbortController().signal, span: (_, work) => work(), ...clockOf() };
}

describe('removeStaleLocks', () => {
  it('removes hidden locks that nobody holds, and nothing else', async () => {
    using folder = temporaryFolder();
    for (const name of ['.stale.lock', 'lock', 'seen.lock', '.unfinished.tmp']) {
      writeFileSync(join(folder.path, name), '');
    }
    {
      using _held = await FileLock.acquire(user(), join(folder.path, '.held.lock'), { isTransient: true });
      removeStaleLocks(user(), folder.path);
      const left = ['.held.lock', '.unfinished.tmp', 'lock', 'seen.lock'];
      expect(readdirSync(folder.path).sort()).toEqual(left);
    }
    expect(readdirSync(folder.path)).not.toContain('.held.lock');
    removeStaleLocks(user(), join(folder.path, 'missing'));
  });
});

describe('FileLock', () => {
  it('excludes a second holder in the same process, in the kernel', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'lock');
    const [one, other] = [user(), user()];
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

  it('that is shared excludes others only', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, '.shared.lock');
    const share = () => FileLock.acquire(user(), path, { isShared: true, isTransient: true });
    const exclusive = () => FileLock.acquire(user(), path, { timeoutMs: 5, isTransient: true });
    const [one, another] = [await share(), await share()];
    await expect(exclusive()).rejects.toMatchObject({ code: 11 });
    one[Symbol.dispose]();
    await expect(exclusive()).rejects.toMatchObject({ code: 11 });
    another[Symbol.dispose]();
    expect(readdirSync(folder.path)).toEqual([]);
    using _alone = await exclusive();
    await expect(FileLock.acquire(user(), path, { isShared: true, timeoutMs: 5 })).rejects.toMatchObject({ code: 11 });
  });
});
