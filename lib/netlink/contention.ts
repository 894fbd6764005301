/** A longer exchange has waited for a lock: the kernel answers within 15 µs, a busy machine within some ms. */
const LONG_MS = 20;
/** More than the kernel takes for each further request of a datagram, several times over. */
const MORE_MS = 1;
/** How long contention is assumed to last. */
const MEMORY_MS = 500;

/**
 * Whether the kernel makes this process wait. While another process holds the kernel's lock of all links (RTNL), an
 * exchange takes that long, and would block the event loop; then exchanges use threads. Otherwise they do not: a thread
 * costs 50 µs on an idle machine, and milliseconds on a busy one.
 */
export interface Contention {
  /** whether others are served meanwhile: then what is known to take long must not block the event loop */
  readonly hasOthers: boolean;
  /** whether exchanges must not block the event loop */
  readonly isHigh: boolean;
  /** Reports an exchange that began then and is over now. */
  report(since: number, exchange: ReportedExchange): void;
}

/** What an exchange was. */
export interface ReportedExchange {
  /** the kernel takes its time, whoever else is at work: that says nothing about contention */
  readonly isSlow: boolean;
  /** of its datagram */
  readonly requests: number;
}

/** For a process that serves one call, which may block. */
export const NO_CONTENTION: Contention = { hasOthers: false, isHigh: false, report: () => undefined };

/** Measures how long exchanges take. */
export class ContentionMeter implements Contention {
  readonly hasOthers = true;
  private until = Number.NEGATIVE_INFINITY;
  private readonly now: () => number;

  /** @param now monotonic milliseconds */
  constructor(now: () => number = () => performance.now()) {
    this.now = now;
  }

  get isHigh(): boolean {
    return this.now() < this.until;
  }

  report(since: number, { isSlow, requests }: ReportedExchange): void {
    const now = this.now();
    if (!isSlow && now - since > LONG_MS + MORE_MS * (requests - 1)) {
      this.until = now + MEMORY_MS;
    }
  }
}

/** The same, and tells how long each exchange took. */
export const observedContention = (inner: Contention, observe: (name: string, ms: number) => void): Contention => ({
  hasOthers: inner.hasOthers,
  get isHigh() {
    return inner.isHigh;
  },
  report: (since, exchange) => {
    inner.report(since, exchange);
    observe(exchange.isSlow ? 'netlink with a grace period' : 'netlink', performance.now() - since);
  },
});
