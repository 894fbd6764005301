/** A value that changes: who follows it hears of changes, and looks at the newest. */
export class Watched<T> {
  private readonly followers = new Set<() => void>();
  private current: T;

  constructor(value: T) {
    this.current = value;
  }

  get value(): T {
    return this.current;
  }

  set value(value: T) {
    this.current = value;
    for (const follower of [...this.followers]) {
      follower();
    }
  }

  /** Calls `changed` after each change, until the result is disposed of. */
  follow(changed: () => void): Disposable {
    const follower = (): void => changed();
    this.followers.add(follower);
    return { [Symbol.dispose]: () => this.followers.delete(follower) };
  }
}
