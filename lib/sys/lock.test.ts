import { existsSync, unlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FileLock, type LockHost } from './lock.ts';
import { temporaryFolder } from './testing/temporary.ts';

/** Answers the attempts in turn, then grants every one. */
function hostAnswering(answers: number[], onSleep: () => void = () => {}): LockHost & { readonly slept: number[] } {
  const slept: number[] = [];
  const sleep = async (ms: number) => {
    slept.push(ms);
    onSleep();
  };
  return { native: { lock: () => answers.shift() ?? 0 }, sleep, slept };
}

const { EAGAIN, EINTR, ENOLCK } = constants.errno;

describe('FileLock', () => {
  it('creates the file and waits in short pauses until the holder lets go', async () => {
    using folder = temporaryFolder();
    const host = hostAnswering([-EAGAIN, -EINTR, -EAGAIN]);
    using _lock = await FileLock.acquire(host, join(folder.path, 'lock'));
    expect(existsSync(join(folder.path, 'lock'))).toBe(true);
    expect(host.slept).toHaveLength(3);
    expect(Math.max(...host.slept)).toBeLessThanOrEqual(16);
  });

  it('gives up with code 11 and the name of the file', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'lock');
    const host = hostAnswering(Array(100).fill(-EAGAIN));
    await expect(FileLock.acquire(host, path, { timeoutMs: 0 })).rejects.toMatchObject({
      code: 11,
      message: `cannot lock "${path}": another call has held it for 0 ms`,
    });
  });

  it('does not wait where there are no locks', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'lock');
    const host = hostAnswering([-ENOLCK]);
    await expect(FileLock.acquire(host, path)).rejects.toMatchObject({
      code: 5,
      message: expect.stringContaining(path),
    });
    expect(host.slept).toEqual([]);
  });

  it('does not take the lock of a file that was deleted while it waited', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'lock');
    const host = hostAnswering([-EAGAIN], () => unlinkSync(path));
    using _lock = await FileLock.acquire(host, path);
    expect(existsSync(path)).toBe(true);
  });

  it('names the file when it cannot be opened', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'missing', 'lock');
    await expect(FileLock.acquire(hostAnswering([]), path)).rejects.toMatchObject({
      code: 5,
      message: `cannot open lock file "${path}": ENOENT (no such file or directory)`,
    });
  });
});
