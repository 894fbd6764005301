import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type Execution, ExecutionTimeout, execute } from './execute.ts';
import { type Temporary, temporaryFolder } from './testing/temporary.ts';

const ENV = { PATH: '/usr/bin:/bin' };

/** A program that is a shell script, about to be executed. */
function executionOf(folder: Temporary, script: string, timeoutMs = 10_000): Execution {
  const path = join(folder.path, 'program');
  writeFileSync(path, `#!/bin/sh\ncd ${folder.path}\n${script}\n`);
  chmodSync(path, 0o755);
  return { path, env: ENV, stdin: Buffer.from('given'), timeoutMs };
}

/** Waits for a child of the program, which says its process number in a file. */
async function childOf(folder: Temporary): Promise<number> {
  const path = join(folder.path, 'child');
  while (!existsSync(path) || readFileSync(path, 'utf8').trim() === '') {
    await sleep(5);
  }
  return Number(readFileSync(path, 'utf8'));
}

/** A process that has ended and was not yet waited for counts as gone. */
const isRunning = (pid: number): boolean =>
  existsSync(`/proc/${pid}/stat`) && !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));

async function untilGone(pid: number): Promise<void> {
  while (isRunning(pid)) {
    await sleep(5);
  }
}

const WITH_CHILD = 'sleep 1000 & echo $! > child; wait';

describe('execute', () => {
  it('gives the program its input, and tells what became of it', async () => {
    using folder = temporaryFolder();
    const { stdout, stderr, ...ending } = await execute(executionOf(folder, 'cat; echo aside >&2; exit 3'));
    expect([stdout.toString(), stderr.toString(), ending]).toEqual([
      'given',
      'aside\n',
      { exitCode: 3, signal: undefined },
    ]);
    expect(await execute(executionOf(folder, 'kill -9 $$'))).toMatchObject({ exitCode: undefined, signal: 'SIGKILL' });
  });

  it('takes what a program prints to the last byte, and does not mind one that reads nothing', async () => {
    using folder = temporaryFolder();
    const execution = executionOf(folder, 'head -c 3000000 /dev/zero');
    const { stdout } = await execute({ ...execution, stdin: Buffer.alloc(1_000_000) });
    expect(stdout).toHaveLength(3_000_000);
  });

  it('kills a program whose time is over, with all that it has started', async () => {
    using folder = temporaryFolder();
    const running = execute(executionOf(folder, WITH_CHILD, 400));
    const [child] = await Promise.all([childOf(folder), expect(running).rejects.toThrow(ExecutionTimeout)]);
    await untilGone(child);
    expect(isRunning(child)).toBe(false);
  });

  it('does not wait for a child that has left the group and keeps the streams', async () => {
    using folder = temporaryFolder();
    const running = execute(executionOf(folder, 'setsid sleep 1000 & echo $! > child; exit 0', 400));
    await expect(running).rejects.toThrow('did not end within 0.4 s and was killed');
    process.kill(await childOf(folder), 'SIGKILL');
  });

  it('kills the program when nobody waits for it any more, and starts none then', async () => {
    using folder = temporaryFolder();
    const caller = new AbortController();
    const running = execute(executionOf(folder, WITH_CHILD), caller.signal);
    const child = await childOf(folder);
    caller.abort(new Error('the caller has gone'));
    await expect(running).rejects.toThrow('the caller has gone');
    await untilGone(child);
    await expect(execute(executionOf(folder, 'touch started'), caller.signal)).rejects.toThrow('the caller has gone');
    expect(existsSync(join(folder.path, 'started'))).toBe(false);
  });

  it('is in a process group of its own', async () => {
    using folder = temporaryFolder();
    const { stdout } = await execute(executionOf(folder, 'cut -d " " -f 5 /proc/self/stat'));
    const own = readFileSync('/proc/self/stat', 'utf8').split(' ')[4];
    expect(stdout.toString().trim()).not.toBe(own);
  });

  it('lets no shell interpret what the kernel does not know', async () => {
    using folder = temporaryFolder();
    const execution = executionOf(folder, '');
    writeFileSync(execution.path, 'echo text');
    await expect(execute(execution)).rejects.toMatchObject({ code: 'ENOEXEC' });
    await expect(execute({ ...execution, path: join(folder.path, 'none') })).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
