import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { execute, inParallel } from '../lab/execute.ts';
import { Lab } from '../lab/lab.ts';
import { ROOT } from '../lab/programs.ts';

const SANITIZED = ['-DHOSTED', '-g', '-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
const COMPLAINT = /AddressSanitizer|runtime error/;

/** An ordinary program of the launcher's source, which complains of every fault of memory. */
function compile(folder: string): string {
  const path = join(folder, 'macvlan');
  const header = '#define PLUGINS "macvlan\\0"\n#define VERSION_ANSWER "{}\\n"\n#define SOCKET "/nowhere"\n';
  writeFileSync(join(folder, 'generated.h'), header);
  execFileSync('cc', [...SANITIZED, '-I', folder, '-o', path, join(ROOT, 'bundle/launcher/launcher.c')]);
  return path;
}

/** What an agent might answer, and what none would. */
function answer(round: number): Buffer {
  const good = Buffer.from('BA\0\0\0\x02\0\0\0\x01\0\0\0{}x', 'latin1');
  const noise = Buffer.from(Array.from({ length: 60 }, () => Math.floor(Math.random() * 256)));
  switch (round % 4) {
    case 0: {
      const changed = Buffer.from(good);
      changed[Math.floor(Math.random() * changed.length)] = Math.floor(Math.random() * 256);
      return changed;
    }
    case 1:
      return good.subarray(0, Math.floor(Math.random() * good.length));
    case 2:
      return Buffer.concat([Buffer.from('BA'), noise]);
    default:
      return noise;
  }
}

it('the launcher touches no foreign memory, whatever it is told and given', async () => {
  await using lab = await Lab.open();
  const [launcher, socket] = [compile(lab.dir), join(lab.dir, 'agent.sock')];
  let round = 0;
  const server = createServer((caller) => {
    caller.on('error', () => undefined);
    caller.once('data', () => caller.end(answer(round++)));
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  const env = { CNI_COMMAND: 'ADD', CNI_NETNS: '/proc/1/ns/net', BRAID_AGENT: socket };
  const odd = [
    { env: { ...env, LONG: 'x'.repeat(100_000), LONGER: 'x'.repeat(120_000), LONGEST: 'x'.repeat(100_000) } },
    { env, stdin: Buffer.alloc(4 * 1024 * 1024, 'x') },
    { env, stdin: Buffer.alloc(5 * 1024 * 1024, 'x') },
    { env: { ...env, BRAID_AGENT: 'x'.repeat(200) } },
    { env: { ...env, BRAID_AGENT: 'none' } },
    { env: {} },
    { env: { CNI_COMMAND: 'VERSION' } },
    { env: { ...env, CNI_COMMAND: 'GC\\"\n' } },
  ];
  const usual = Array.from({ length: 200 }, () => ({ env, stdin: '{}' }));
  await inParallel([...odd, ...usual], 4, async (execution) => {
    const { exitCode, stdout, stderr } = await execute([launcher], execution);
    expect(stdout + stderr).not.toMatch(COMPLAINT);
    expect([0, 1]).toContain(exitCode);
  });
  server.close();
});
