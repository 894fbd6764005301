/** How late the event loop of a serving process is while another process keeps the kernel busy. */
import { spawn } from 'node:child_process';
import { netnsPath, run } from './lab.ts';
import type { Subject, Tools } from './subjects.ts';
import { oneNetwork, type WarmServer, warmPods } from './warm.ts';

const DELETIONS = 100;

/** Pods come and go, one after another, while links are deleted elsewhere; and for as long again. */
export async function loopDelay(tools: Tools, server: WarmServer): Promise<Subject> {
  const attach = warmPods(server, tools, 1, oneNetwork(tools));
  return async () => {
    await attach();
    const busy = tools.lab.newPods(DELETIONS);
    run(
      ['ip', '-batch', '-'],
      busy.map((pod) => `link add busy type veth peer name other netns ${pod}\nlink set busy netns ${pod}\n`).join(''),
    );
    const delay = await server.watchLoop();
    let isOver = false;
    const deleting = deletedAtOnce(busy).finally(() => {
      isOver = true;
    });
    let adds = 0;
    while (!isOver) {
      await attach();
      adds++;
    }
    await deleting;
    return { ...(await delay()), adds };
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
