import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { NetworkCall } from '../../../lib/cni/call.ts';
import { conf } from '../../../lib/cni/config.ts';
import type { JsonObject } from '../../../lib/cni/json.ts';
import { definePlugin } from '../../../lib/cni/plugin.ts';
import type { Scope } from '../../../lib/cni/scope.ts';
import { fakeScope } from '../../../lib/cni/testing/fake-scope.ts';
import type { Executed, Execution } from '../../../lib/sys/execute.ts';
import { OWN_ROOT, openRoot } from './root.ts';

const PROGRAM = { path: '/opt/cni/bin/other', env: { A: '1' }, stdin: Buffer.from('{}'), timeoutMs: 1000 };
const EXECUTED: Executed = { exitCode: 0, signal: undefined, stdout: Buffer.from('{}'), stderr: Buffer.alloc(0) };

let folder: string;
let lines: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'braid-root-'));
  mkdirSync(join(folder, 'node/records'), { recursive: true });
  mkdirSync(join(folder, 'bin'));
  writeFileSync(join(folder, 'bin/chroot'), '');
  lines = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

const open = (root: string, records = '/records') =>
  openRoot({ folder: root, env: { PATH: join(folder, 'bin') }, log: (line) => lines.push(line), records });

/** What a plugin of that root executes, and what it gets. */
async function executing(executed: Executed): Promise<{ readonly ran: readonly Execution[]; readonly got: Executed }> {
  const ran: Execution[] = [];
  const got: Executed[] = [];
  const run = async (_: unknown, scope: Scope): Promise<void> => void got.push(await scope.execute(PROGRAM));
  const plugin = definePlugin({
    ...{ name: 'caller', about: '', conf: conf({}) },
    add: async () => ({ interfaces: [], ips: [], routes: [], dns: {} }),
    ...{ check: run, del: run, status: run, gc: run },
  });
  const scope = fakeScope({
    node: {
      execute: async (execution) => {
        ran.push(execution);
        return executed;
      },
    },
  });
  const call = { document: {}, stdin: { plainDocument: {} } } as unknown as NetworkCall<JsonObject>;
  await open(join(folder, 'node')).holds(plugin).status(call, scope);
  return { ran, got: got[0] as Executed };
}

describe('openRoot', () => {
  it.each(['', '/'])('is the root of the agent for "%s"', (root) => {
    expect([open(root), lines]).toEqual([OWN_ROOT, []]);
  });

  it('is the root of the agent where there is no such folder, and says so', () => {
    expect(open(join(folder, 'hostroot'))).toBe(OWN_ROOT);
    expect(lines).toEqual([expect.stringMatching(/^passes over "chrootDir": there is no folder ".*\/hostroot" here/)]);
  });

  it('runs plugins of this build in the agent where their records are those of the root', () => {
    const records = join(folder, 'here');
    mkdirSync(join(folder, 'node', folder), { recursive: true });
    mkdirSync(records);
    symlinkSync(records, join(folder, 'node', folder, 'here'));
    expect([open(join(folder, 'node'), records).env, lines]).toEqual([{}, []]);
  });

  it('has them executed where these are others, and says so', () => {
    expect(open(join(folder, 'node')).env).toEqual({ BRAID_EXEC_DELEGATES: '1' });
    expect(lines).toEqual([expect.stringContaining('executes its own plugins too: "/records" is another folder in')]);
  });

  it('has plugins execute others in the root', async () => {
    const { ran, got } = await executing(EXECUTED);
    const args = [join(folder, 'node'), PROGRAM.path];
    expect([ran, got]).toEqual([[{ ...PROGRAM, path: join(folder, 'bin/chroot'), args }], EXECUTED]);
  });

  it.each([
    ['chroot: failed to run command ‘/opt/cni/bin/other’: No such file or directory', undefined],
    ['chroot: cannot run the program: Text file busy', 'ETXTBSY'],
  ])('tells a program that cannot be started: %s', async (said, code) => {
    const failed = { ...EXECUTED, exitCode: 127, stdout: Buffer.alloc(0), stderr: Buffer.from(`${said}\n`) };
    const error = await executing(failed).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ message: said, ...(code === undefined ? {} : { code }) });
  });

  it('leaves what a program says to whoever has called it', async () => {
    const failed = { ...EXECUTED, exitCode: 127, stderr: Buffer.from('chroot: but it has printed something\n') };
    expect((await executing(failed)).got).toBe(failed);
  });
});
