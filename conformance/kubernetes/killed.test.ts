/** A cluster whose tests are killed leaves nothing on the machine. */
import { spawn } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, it } from 'vitest';
import { until } from '../containerd/poll.ts';
import { eventually } from '../lab/eventually.ts';

/** On a machine with far too much to do. */
const [CLUSTER_MS, REMOVED_MS] = [300_000, 120_000];

/** Command lines of processes in which a word is. */
const processesOf = (word: string): readonly string[] =>
  globSync('/proc/[0-9]*/cmdline').flatMap((file) => {
    try {
      const line = readFileSync(file, 'utf8').replaceAll('\0', ' ');
      return line.includes(word) ? [line] : [];
    } catch {
      return []; // it has ended
    }
  });

it('no process, no folder, no group', async () => {
  const words = [join(import.meta.dirname, 'shell.ts'), '--nodes', '1', '--', 'cat'];
  const cluster = spawn(process.execPath, words, { stdio: ['pipe', 'pipe', 'inherit'] });
  let said = '';
  cluster.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const folder = await until('the cluster', () => /^ {2}(\S+braid-kubernetes-\w+): /m.exec(said)?.[1], CLUSTER_MS);
  const name = basename(folder);
  const look = async () => ({
    processes: processesOf(name),
    folders: globSync([folder]),
    groups: globSync(`/sys/fs/cgroup/{.,*}/${name}-*`),
  });
  const before = await look();
  expect(before.processes.length).toBeGreaterThan(1);
  expect([before.folders, before.groups.length > 0]).toEqual([[folder], true]);
  cluster.kill('SIGKILL');
  cluster.stdin.end(); // for the shell that it has started
  await eventually(look, { processes: [], folders: [], groups: [] }, REMOVED_MS);
});
