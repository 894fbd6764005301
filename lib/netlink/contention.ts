/** A longer exchange has waited for a lock: the kernel answers within 15 µs, a busy machine within some ms. */
const LONG_MS = 20;
/** How long contention is assumed to last. */
const MEMORY_MS = 500;

/**
 * Whether the kernel makes this process wait. While another process holds the kernel's lock of all links (RTNL), an
 * exchange takes that long, and would block the event loop; then exchanges use threads. Otherwise they do not: a thread
 * costs 50 µs on an idle machine, and milliseconds on a busy one.
 */
export interface Contention {
  /** whether exchanges must not block the event loop */
  readonly isHigh: boolean;
  /** Reports an exchange that began then and is over now. */
  report(since: number, exchange: ReportedExchange): void;
}

/** What an exchange was. */
export interface ReportedExchange {
  /** the kernel takes its time, whoever else is at work: that says nothing about contention */
  readonly isSlow: boolean;
}

/** For a process that serves one call, which may block. */
export const NO_CONTENTION: Contention = { isHigh: false, report: () => undefined };

/** Measures how long exchanges take. */
export class ContentionMeter implements Contention {
  private until = Number.NEGATIVE_INFINITY;
  private readonly now: () => number;

  /** @param now monotonic milliseconds */
  constructor(now: () => number = () => performance.now()) {
    this.now = now;
  }

  get isHigh(): boolean {
    return this.now() < this.until;
  }

  report(since: number, { isSlow }: ReportedExchange): void {
    const now = this.now();
    if (!isSlow && now - since > LONG_MS) {
      this.until = now + MEMORY_MS;
    }
  }
}

/** The same, and tells how long each exchange took. */
export const observedContention = (inner: Contention, observe: (name: string, ms: number) => void): Contention => ({
  get isHigh() {
    return inner.isHigh;
  },
  report: (since, exchange) => {
    inner.report(since, exchange);
    observe(exchange.isSlow ? 'netlink with a grace period' : 'netlink', performance.now() - since);
  },
});
