/** The launcher for aarch64: it has system calls and a start of its own there. Compiled and emulated, in CI and on request. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BASE_ENV, type Env, execute, mustRun, type Outcome } from '../lab/execute.ts';
import { Lab } from '../lab/lab.ts';
import { type Call, envOf, PLUGINS, ROOT, stdinOf } from '../lab/programs.ts';
import { DEAF, printingTo } from '../lab/streams.ts';
import { Agent } from '../resident/agent.ts';
import { network } from '../resident/networks.ts';

const { BRAID_WITH = '', CI } = process.env;
const isWanted = BRAID_WITH.split(',').includes('aarch64') || CI === 'true';
const EMULATOR = 'qemu-aarch64-static';
/** EM_AARCH64 of elf.h, and where a file says its machine. */
const MACHINE = { is: 183, at: 18 };

let lab: Lab;
let launcher: string;

/** As the build makes it, where the system's compiler is one for this processor. */
async function compile(folder: string): Promise<string> {
  const bin = lab.folder('compiler');
  symlinkSync((await mustRun(['sh', '-c', 'command -v aarch64-linux-gnu-gcc'])).trim(), join(bin, 'cc'));
  const path = join(folder, 'macvlan');
  const [names, source] = [PLUGINS, join(ROOT, 'bundle/launchers.ts')].map((value) => JSON.stringify(value));
  const script = `import { writeFileSync } from 'node:fs';
    import { compileLauncher } from ${source};
    const bytes = compileLauncher(${names});
    if (bytes.readUInt16LE(${MACHINE.at}) !== ${MACHINE.is}) throw new Error('it is for another processor');
    writeFileSync(${JSON.stringify(path)}, bytes, { mode: 0o755 });`;
  await mustRun([process.execPath, '--input-type=module', '--eval', script], {
    env: { ...BASE_ENV, PATH: `${bin}:${BASE_ENV['PATH']}` },
  });
  return path;
}

const run = (env: Env, stdin: string | Buffer = ''): Promise<Outcome> =>
  execute([EMULATOR, launcher], { env: { ...BASE_ENV, ...env }, stdin, cwd: lab.dir });

describe.skipIf(!isWanted)('a launcher for aarch64', () => {
  beforeAll(async () => {
    lab = await Lab.open();
    launcher = await compile(lab.folder('bin'));
  });
  afterAll(() => lab?.[Symbol.asyncDispose]());

  it('says which versions it speaks', async () => {
    const { exitCode, stdout } = await run({ CNI_COMMAND: 'VERSION' });
    expect([exitCode, JSON.parse(stdout)]).toMatchObject([0, { cniVersion: '1.1.0' }]);
  });

  it('has an agent do its calls, in the namespace that it has opened', async () => {
    await using agent = await Agent.start(lab);
    const pod = await lab.pod();
    const call: Call = { plugin: 'macvlan', verb: 'ADD', netns: pod.path, conf: network(lab) };
    const called = (verb: string) =>
      run({ ...envOf(agent.launchers, { ...call, verb }), BRAID_AGENT: agent.socket }, stdinOf(call.conf));
    const added = await called('ADD');
    expect(JSON.parse(added.stdout)).toMatchObject({ interfaces: [{ name: 'net1', sandbox: pod.path }] });
    expect(await lab.ip(pod.name, '-o link show net1')).toContain('net1');
    expect(await called('DEL')).toMatchObject({ exitCode: 0, stdout: '' });
  });

  it('executes the program beside it where none listens, with what it has read', async () => {
    const standalone = join(lab.dir, 'bin/.braid/standalone');
    mkdirSync(join(standalone, '..'));
    writeFileSync(standalone, '#!/bin/sh\necho "$CNI_COMMAND $(cat)"\n', { mode: 0o755 });
    const env = { CNI_COMMAND: 'DEL', BRAID_AGENT: join(lab.dir, 'nobody.sock') };
    expect(await run(env, 'a document')).toMatchObject({ exitCode: 0, stdout: 'DEL a document\n' });
  });

  it.each(DEAF)('says that $what did not take its answer', async ({ to, says }) => {
    const script = printingTo(to, `${EMULATOR} ${launcher}`);
    const outcome = await execute(['bash', '--norc', '-c', script], { env: { ...BASE_ENV, CNI_COMMAND: 'VERSION' } });
    expect(outcome).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(says) });
  });
});
