import { existsSync, unlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { KeyedMutex } from './keyed-mutex.ts';
import { FileLock, type LockUser } from './lock.ts';
import { temporaryFolder } from './testing/temporary.ts';

/** Answers the attempts in turn, then grants every one. */
function userGetting(answers: number[], onSleep: () => void = () => {}): LockUser & { readonly slept: number[] } {
  const slept: number[] = [];
  const sleep = async (ms: number) => {
    slept.push(ms);
    onSleep();
  };
  const native: LockUser['node']['native'] = { lock: () => answers.shift() ?? 0 };
  const node = { native, locks: new KeyedMutex() };
  return { node, signal: new AbortController().signal, span: (_, work) => work(), now: () => 0, sleep, slept };
}

const { EAGAIN, EINTR, ENOLCK } = constants.errno;

describe('FileLock', () => {
  it('creates the file and waits in short pauses until the holder lets go', async () => {
    using folder = temporaryFolder();
    const user = userGetting([-EAGAIN, -EINTR, -EAGAIN]);
    using _lock = await FileLock.acquire(user, join(folder.path, 'lock'));
    expect(existsSync(join(folder.path, 'lock'))).toBe(true);
    expect(user.slept).toHaveLength(3);
    expect(Math.max(...user.slept)).toBeLessThanOrEqual(16);
  });

  it('gives up with code 11 and the name of the file', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'lock');
    const user = userGetting(Array(100).fill(-EAGAIN));
    await expect(FileLock.acquire(user, path, { timeoutMs: 0 })).rejects.toMatchObject({
      code: 11,
      message: `cannot lock "${path}": another call has held it for 0 ms`,
    });
  });

  it('does not wait where there are no locks', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'lock');
    const user = userGetting([-ENOLCK]);
    await expect(FileLock.acquire(user, path)).rejects.toMatchObject({
      code: 5,
      message: expect.stringContaining(path),
    });
    expect(user.slept).toEqual([]);
  });

  it('asks for a shared one in no queue, and removes its file when nobody else shares it', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'lock');
    const asked: number[] = [];
    const user = userGetting([]);
    let others = 0;
    user.node.native.lock = (_, operation) => {
      asked.push(operation);
      return operation === 2 && others > 0 ? -EAGAIN : 0;
    };
    const options = { isShared: true, isTransient: true };
    const [one, another] = [await FileLock.acquire(user, path, options), await FileLock.acquire(user, path, options)];
    others = 1;
    one[Symbol.dispose]();
    expect(existsSync(path)).toBe(true);
    others = 0;
    another[Symbol.dispose]();
    expect(existsSync(path)).toBe(false);
    expect(asked).toEqual([1, 1, 2, 2]);
  });

  it('does not take the lock of a file that was deleted while it waited', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'lock');
    const user = userGetting([-EAGAIN], () => unlinkSync(path));
    using _lock = await FileLock.acquire(user, path);
    expect(existsSync(path)).toBe(true);
  });

  it('names the file when it cannot be opened', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'missing', 'lock');
    await expect(FileLock.acquire(userGetting([]), path)).rejects.toMatchObject({
      code: 5,
      message: `cannot open lock file "${path}": ENOENT (no such file or directory)`,
    });
  });
});
