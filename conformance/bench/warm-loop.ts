/** How late the event loop of a serving process is while another process keeps the kernel busy. */
import { spawn } from 'node:child_process';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { netnsPath, run } from './lab.ts';
import type { Subject, Tools } from './subjects.ts';
import { oneNetwork, warmPods, warmServer } from './warm.ts';

const DELETIONS = 100;
const RESOLUTION_MS = 5;
const NANOSECONDS_PER_MS = 1e6;

/** Pods come and go, one after another, while links are deleted elsewhere; and for as long again. */
export function loopDelay(tools: Tools): Subject {
  const attach = warmPods(warmServer(tools), tools, 1, oneNetwork(tools));
  return async () => {
    await attach();
    const busy = tools.lab.newPods(DELETIONS);
    run(
      ['ip', '-batch', '-'],
      busy.map((pod) => `link add busy type veth peer name other netns ${pod}\nlink set busy netns ${pod}\n`).join(''),
    );
    const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    delay.enable();
    const deleting = deletedAtOnce(busy);
    let isOver = false;
    deleting.finally(() => {
      isOver = true;
    });
    let adds = 0;
    while (!isOver) {
      await attach();
      adds++;
    }
    await deleting;
    await sleep(RESOLUTION_MS);
    delay.disable();
    const ms = (nanoseconds: number): number => nanoseconds / NANOSECONDS_PER_MS - RESOLUTION_MS;
    return { p99: ms(delay.percentile(99)), longest: ms(delay.max), adds };
  };
}

/** One process for each, all at the same time. */
async function deletedAtOnce(pods: readonly string[]): Promise<void> {
  await Promise.all(
    pods.map(
      (pod) =>
        new Promise<void>((resolve, reject) => {
          const child = spawn('nsenter', [`--net=${netnsPath(pod)}`, 'ip', 'link', 'del', 'busy'], { stdio: 'ignore' });
          child.on('error', reject);
          child.on('exit', () => resolve());
        }),
    ),
  );
}
