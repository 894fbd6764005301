/**
 * Remembers what was looked at until the turn of the event loop is over: calls that run together see the same, and look
 * once. Only for what somebody else may change at any moment anyway.
 */
export class Glances {
  private readonly seen = new Map<string, unknown>();

  /** @throws what `look` throws; that is not remembered */
  at<T>(key: string, look: () => T): T {
    if (this.seen.has(key)) {
      return this.seen.get(key) as T;
    }
    const found = look();
    if (this.seen.size === 0) {
      setImmediate(() => this.seen.clear());
    }
    this.seen.set(key, found);
    return found;
  }
}
