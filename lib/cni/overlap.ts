import { makeLinks, setUpLinks } from '../link/batches.ts';
import { type Scope, scopeWith } from './scope.ts';

export type Task<T> = (scope: Scope) => Promise<T>;

/**
 * Starts tasks in order, each as soon as the previous one is done or blocks on a shareable wait. All of them wait
 * together, and share datagrams to the kernel; yet whatever a task does before its first wait is done before the next one
 * starts. After a failure no further task is started.
 *
 * @returns the outcomes of those that were started, in order
 */
export async function overlap<T>(scope: Scope, tasks: readonly Task<T>[]): Promise<readonly PromiseSettledResult<T>[]> {
  const [only] = tasks;
  if (only !== undefined && tasks.length === 1) {
    return Promise.allSettled([only(scope)]);
  }
  const started: Promise<T>[] = [];
  let hasFailed = false;
  for (const task of tasks) {
    if (hasFailed) {
      break;
    }
    await new Promise<void>((goOn) => {
      const work = task(notifyOnWait(scope, goOn));
      started.push(work);
      work.then(
        () => goOn(),
        () => {
          hasFailed = true;
          goOn();
        },
      );
    });
  }
  return Promise.allSettled(started);
}

/** The same scope, which calls back when a wait begins, and gathers what tasks want of the kernel. */
function notifyOnWait(scope: Scope, waits: () => void): Scope {
  return scopeWith(scope, (own) => ({
    join: (joiner, item) => {
      waits();
      return own.join(joiner, item);
    },
    findLink: (netns, name) => {
      waits();
      return own.findLink(netns, name);
    },
    makeLink: (from, request, mayOverlap) => {
      if (mayOverlap) {
        waits();
      }
      return own.node.gather(`make links from ${from.identity}`, request, (all) => makeLinks(from.netlink, all));
    },
    setUpLink: (netns, setup) =>
      own.node.gather(`set links of ${netns.identity} up`, setup, (all) => setUpLinks(netns, all)),
    removeLink: (netns, index) => {
      waits();
      return own.removeLink(netns, index);
    },
    sleep: (ms) => {
      waits();
      return own.sleep(ms);
    },
  }));
}
