/** What `ip monitor` sees of links and addresses of a namespace. */
import { spawn } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { eventually } from './eventually.ts';
import { BASE_ENV, mustRun } from './execute.ts';

/** A link whose event comes after all others. */
const LAST = 'monitor-end';

/** @returns its lines during that work, each event on one */
export async function monitored(namespace: string, work: () => Promise<unknown>): Promise<readonly string[]> {
  const child = spawn('ip', ['-n', namespace, '-o', 'monitor', 'link', 'address'], {
    env: BASE_ENV,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let seen = '';
  child.stdout.on('data', (chunk: Buffer) => {
    seen += chunk.toString('utf8');
  });
  try {
    await eventually(async () => hears(child.pid, namespace), true);
    await work();
    await mustRun(['ip', '-n', namespace, 'link', 'add', LAST, 'type', 'bridge']);
    await eventually(async () => seen.includes(LAST), true);
  } finally {
    child.kill('SIGKILL');
  }
  await mustRun(['ip', '-n', namespace, 'link', 'del', LAST]);
  const lines = seen.split('\n');
  return lines.slice(
    0,
    lines.findIndex((line) => line.includes(LAST)),
  );
}

/** Whether it is in that namespace, and a socket there is in a group of listeners: nobody else's is. */
function hears(pid: number | undefined, namespace: string): boolean {
  if (statSync(`/proc/${pid}/ns/net`).ino !== statSync(`/run/netns/${namespace}`).ino) {
    return false;
  }
  const [, ...sockets] = readFileSync(`/proc/${pid}/net/netlink`, 'utf8').trimEnd().split('\n');
  return sockets.some((line) => Number.parseInt(line.trim().split(/\s+/)[3] ?? '', 16) !== 0);
}
