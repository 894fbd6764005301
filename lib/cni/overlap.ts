import { type Scope, scopeWith } from './scope.ts';

export type Task<T> = (scope: Scope) => Promise<T>;

/**
 * Starts tasks in order, each as soon as the previous one is done or blocks on a shareable wait. All of them wait
 * together, yet whatever a task does before its first wait is done before the next one starts. After a failure no
 * further task is started.
 *
 * @returns the outcomes of those that were started, in order
 */
export async function overlap<T>(scope: Scope, tasks: readonly Task<T>[]): Promise<readonly PromiseSettledResult<T>[]> {
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

/** The same scope, which calls back when a wait begins. */
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
    makeLink: (from, request) => {
      waits();
      return own.makeLink(from, request);
    },
    setUpLink: (netns, setup) => {
      waits();
      return own.setUpLink(netns, setup);
    },
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
