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
  const makings: Promise<void>[] = [];
  let hasFailed = false;
  for (const task of tasks) {
    if (hasFailed) {
      break;
    }
    await new Promise<void>((goOn) => {
      const work = task(notifyOnWait(scope, goOn, makings));
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

/** Some may be followed by others, as on a kernel that makes a link under another name first. */
async function untilSettled(makings: readonly Promise<void>[]): Promise<void> {
  for (let known = 0; known < makings.length; ) {
    known = makings.length;
    await Promise.allSettled(makings);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/**
 * The same scope, which calls back when a wait begins, and gathers what tasks want of the kernel.
 *
 * @param makings links of all tasks
 */
function notifyOnWait(scope: Scope, waits: () => void, makings: Promise<void>[]): Scope {
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
      const making = own.node.gather(`make links from ${from.identity}`, request, (all) =>
        makeLinks(from.netlink, all),
      );
      makings.push(making);
      return making;
    },
    linksMade: () => untilSettled(makings),
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
