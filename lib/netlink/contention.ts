/** An exchange that takes longer has waited for somebody; the kernel answers within 15 µs, a busy machine within some ms. */
const LONG_MS = 20;
/** How long it is remembered that somebody kept us waiting. */
const MEMORY_MS = 500;

/**
 * Does the kernel make this process wait? While another process holds its lock of all links (it deletes some, say), an
 * exchange takes as long as that, and so would the event loop: exchanges go through threads then. Else they do not: a
 * thread costs 50 µs on an idle machine, and milliseconds on one whose processors are busy.
 */
export interface Contention {
  /** Must exchanges leave the event loop free? */
  readonly isHigh: boolean;
  /** An exchange began then, and is over. */
  took(since: number): void;
}

/** For a process that serves one call, which has nothing else to do while it waits. */
export const PATIENT: Contention = { isHigh: false, took: () => undefined };

/** Goes by how long exchanges take. */
export class ContentionMeter implements Contention {
  private until = Number.NEGATIVE_INFINITY;
  private readonly now: () => number;

  /** @param now milliseconds, never set back */
  constructor(now: () => number = () => performance.now()) {
    this.now = now;
  }

  get isHigh(): boolean {
    return this.now() < this.until;
  }

  took(since: number): void {
    const now = this.now();
    if (now - since > LONG_MS) {
      this.until = now + MEMORY_MS;
    }
  }
}
