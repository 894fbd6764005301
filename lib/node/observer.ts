/** Hears of the parts of calls. */
export interface Observer {
  /** A part that is over. */
  (name: string, ms: number): void;
  /** Does a part, and hears of it: what is heard of meanwhile in the same flow is within it. */
  within?<T>(name: string, work: () => Promise<T>): Promise<T>;
}

/** Does a part of a call, and lets the observer hear of it, if there is one. */
export async function observed<T>(observe: Observer | undefined, name: string, work: () => Promise<T>): Promise<T> {
  if (observe === undefined) {
    return work();
  }
  if (observe.within !== undefined) {
    return observe.within(name, work);
  }
  const start = performance.now();
  try {
    return await work();
  } finally {
    observe(name, performance.now() - start);
  }
}
