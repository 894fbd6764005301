import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Executed, execute } from '../sys/execute.ts';
import { callDelegate, findPlugin, ownDelegate, runsInProcess } from './delegate.ts';
import type { Scope } from './scope.ts';
import { Stdin } from './stdin.ts';
import { type FakeParts, fakeScope } from './testing/fake-scope.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'braid-test-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const program = (name: string, script: string): void => {
  writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, name), 0o755);
};
const logged: string[] = [];
const scope = (overrides: FakeParts = {}): Scope =>
  fakeScope({ node: { execute }, log: (line) => logged.push(line), sleep: async () => undefined, ...overrides });
const call = async (type: string, overrides?: FakeParts): Promise<unknown> => {
  const answer = await callDelegate(scope(overrides), {
    type,
    path: [join(folder, 'none'), folder],
    env: { CNI_COMMAND: 'ADD', PATH: '/usr/bin:/bin', SEEN: 'yes' },
    stdin: Stdin.of(Buffer.from('{"a":1}')),
    timeoutMs: 10_000,
  });
  return answer.result();
};

describe('findPlugin', () => {
  it('takes the first regular file, executable or not', () => {
    mkdirSync(join(folder, 'one'));
    mkdirSync(join(folder, 'one', 'x'));
    writeFileSync(join(folder, 'x'), '');
    expect(findPlugin(fakeScope(), { type: 'x', path: [join(folder, 'one'), folder] }).file).toBe(join(folder, 'x'));
  });
  it.each([
    ['', ['/a'], 'no plugin name provided'],
    ['a/b', ['/a'], 'invalid plugin name: a/b'],
    ['x', [], 'no paths provided'],
    ['x', ['/a', '/b'], 'failed to find plugin "x" in path [/a /b]'],
  ])('refuses %j in %j', (type, path, message) => {
    expect(() => findPlugin(fakeScope(), { type, path })).toThrow(message);
  });
});

describe('callDelegate', () => {
  it('hands over stdin and environment, and returns what is on stdout', async () => {
    program('echo', `echo "{\\"stdin\\":$(cat),\\"seen\\":\\"$CNI_COMMAND $SEEN\\"}"`);
    expect(await call('echo')).toEqual({ stdin: { a: 1 }, seen: 'ADD yes' });
  });

  it('forwards what a delegate that succeeded wrote on stderr', async () => {
    logged.length = 0;
    program('chatty', 'echo hello >&2; echo {}');
    await call('chatty');
    expect(logged).toEqual(['hello']);
  });

  it.each([
    ['its error', `echo '{"code":11,"msg":"busy","details":"d"}'; exit 1`, { code: 11, message: 'busy', details: 'd' }],
    [
      'stderr when there is no error',
      'echo oops >&2; exit 3',
      { message: 'netplugin failed: "oops\\n": exit status 3' },
    ],
    ['the exit code alone', 'exit 4', { message: 'netplugin failed with no error message: exit status 4' }],
    ['the signal', 'kill -9 $$', { message: 'netplugin failed with no error message: signal: SIGKILL' }],
    ['garbage', 'echo garbage; exit 1', { code: 999, message: expect.stringContaining('"garbage\\n"') }],
  ])('reports %s', async (_, script, error) => {
    program('bad', script);
    await expect(call('bad')).rejects.toMatchObject(error);
  });

  it.each(['toString', 'constructor', '__proto__', 'hasOwnProperty'])(
    'executes what is called %s: no plugin of this build is',
    async (type) => {
      program(type, `echo '{"is":"executed"}'`);
      const path = [folder];
      const own = { isOwnBuild: () => true };
      expect(await call(type, own)).toEqual({ is: 'executed' });
      expect(runsInProcess(scope(own), type, path, {})).toBe(false);
      expect(await ownDelegate(scope(own), { type, path })).toBeUndefined();
      await expect(call(`${type}s`, own)).rejects.toMatchObject({ message: expect.stringContaining('failed to find') });
    },
  );

  it('does not mind a delegate that reads no input', async () => {
    program('deaf', `exec <&-; echo '{"is":"done"}'`);
    expect(await call('deaf')).toEqual({ is: 'done' });
  });

  it('fails clearly when the file cannot be executed', async () => {
    writeFileSync(join(folder, 'plain'), 'x');
    await expect(call('plain')).rejects.toMatchObject({ message: expect.stringContaining('EACCES') });
  });

  it('does not let a shell interpret what the kernel does not know', async () => {
    writeFileSync(join(folder, 'text'), 'echo hello', { mode: 0o755 });
    await expect(call('text')).rejects.toMatchObject({ message: expect.stringContaining('exec format error') });
  });

  it('tries a busy file six times, and then fails', async () => {
    program('busy', '');
    let tries = 0;
    const busy = (): Promise<Executed> => {
      tries++;
      return Promise.reject(Object.assign(new Error('spawn ETXTBSY'), { code: 'ETXTBSY' }));
    };
    await expect(call('busy', { node: { execute: busy } })).rejects.toMatchObject({
      message: expect.stringContaining('text file busy'),
    });
    expect(tries).toBe(6);
  });

  it('says so with code 11 when one has to be killed, and shows what it said', async () => {
    program('slow', 'echo looking >&2; sleep 1000');
    const outcome = callDelegate(scope(), {
      type: 'slow',
      path: [folder],
      env: { CNI_COMMAND: 'ADD', PATH: '/usr/bin:/bin' },
      stdin: Stdin.of(Buffer.from('{}')),
      timeoutMs: 300,
    });
    await expect(outcome).rejects.toMatchObject({
      code: 11,
      message: expect.stringMatching(/^cannot wait for plugin ".*slow" did not end within 0.3 s and was killed/),
    });
  });

  it('logs what a delegate says on stderr when it fails, too', async () => {
    program('sad', `echo why >&2; echo '{"code":7,"msg":"no"}'; exit 1`);
    logged.length = 0;
    await expect(call('sad')).rejects.toMatchObject({ code: 7, message: 'no' });
    expect(logged).toEqual(['why']);
  });
});
