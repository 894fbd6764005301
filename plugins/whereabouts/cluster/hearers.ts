import type { Caller } from '../engine.ts';

/** Who hears of troubles that fail no call: a store outlives the call that has opened it, and whose log is over by then. */
export class Hearers {
  private readonly callers = new Set<Caller>();

  readonly log = (line: string): void => {
    for (const caller of this.callers) {
      caller.log(line);
    }
  };

  /** They hear what happens meanwhile. */
  async during<T>(callers: readonly Caller[], work: () => Promise<T>): Promise<T> {
    const added = [...new Set(callers)].filter((caller) => !this.callers.has(caller));
    for (const caller of added) {
      this.callers.add(caller);
    }
    try {
      return await work();
    } finally {
      for (const caller of added) {
        this.callers.delete(caller);
      }
    }
  }
}
