/** A rehearsal in which no time passes: what it does must not hang on how busy the building machine is. */

/** Longer than any build: nothing that is waited for is ever late. */
const NEVER_MS = 86_400_000;
/** in 2001 */
const A_DATE_MS = 1_000_000_000_000;

/**
 * Does the work while both clocks stand still and no timer is due. All timers have the same time: Node has a list for
 * each time, counts these lists and sorts them.
 */
export async function withoutTime(work: () => Promise<void>): Promise<void> {
  const realTimeout = globalThis.setTimeout;
  const realDate = Date.now;
  const never = (callback: (...values: unknown[]) => void, _ms?: number, ...values: unknown[]): NodeJS.Timeout =>
    realTimeout(callback, NEVER_MS, ...values);
  globalThis.setTimeout = never as typeof setTimeout;
  Date.now = () => A_DATE_MS;
  performance.now = () => 0;
  try {
    await work();
  } finally {
    globalThis.setTimeout = realTimeout;
    Date.now = realDate;
    Reflect.deleteProperty(performance, 'now'); // that of its class is seen again
  }
}
