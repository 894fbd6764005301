/** An exchange that takes longer has waited for somebody. */
const QUICK_MS = 4;
/** How long it is remembered that somebody did. */
const MEMORY_MS = 1_000;

/**
 * Does the kernel make this process wait? While another process holds its lock of all links (it deletes some, say), an
 * exchange takes as long as that, and so would the event loop: exchanges go through threads then. Where the kernel answers
 * at once, which costs 15 µs, a thread would cost 50 more.
 */
export class Contention {
  private until = 0;
  private readonly now: () => number;

  /** @param now milliseconds, never set back */
  constructor(now: () => number = () => performance.now()) {
    this.now = now;
  }

  /** Must exchanges keep the event loop free? */
  get isHigh(): boolean {
    return this.now() < this.until;
  }

  /** An exchange began then, and is over. */
  took(since: number): void {
    const now = this.now();
    if (now - since > QUICK_MS) {
      this.until = now + MEMORY_MS;
    }
  }
}
