/**
 * Sends spans to a collector: OTLP/HTTP with JSON, https://opentelemetry.io/docs/specs/otlp. The official packages are 204 KB
 * bundled, and 7 MB in memory.
 */
import { messageOf } from '../cni/errors.ts';
import type { Sender } from './post.ts';

/** A value of an attribute. */
type Value = { readonly stringValue: string } | { readonly intValue: string };

export interface Attribute {
  readonly key: string;
  readonly value: Value;
}

/** As the protocol has it; times are nanoseconds since 1970. */
export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly traceState?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly Attribute[];
  readonly status: { readonly code?: number; readonly message?: string };
}

export const INTERNAL = 1;
export const SERVER = 2;
export const FAILED = 2;

export const attribute = (key: string, value: string | number): Attribute => ({
  key,
  value: typeof value === 'string' ? { stringValue: value } : { intValue: String(value) },
});

export interface ExporterParts {
  readonly send: Sender;
  readonly resource: readonly Attribute[];
  /** what is said once for failures of the same kind, and when it goes on */
  readonly log: (line: string) => void;
  readonly onSent: (spans: number) => void;
  readonly onDropped: (spans: number) => void;
  /** how long the end may take */
  readonly graceMs?: number;
  /** between attempts */
  readonly sleep?: (ms: number) => Promise<void>;
}

/** Spans that wait; more are dropped. */
const MOST_WAITING = 8192;
const MOST_AT_ONCE = 512;
const PAUSE_MS = 1000;
const TRIES = 5;
const LONGEST_PAUSE_MS = 30_000;
const GRACE_MS = 2000;
/** The specification has these repeated, and no others. */
const TRANSIENT = [429, 502, 503, 504];

/** Takes spans, never waits, and drops what the collector does not take in time. */
export class Exporter implements AsyncDisposable {
  private readonly parts: ExporterParts;
  private waiting: Span[] = [];
  private timer: NodeJS.Timeout | undefined;
  private sending: Promise<void> | undefined;
  private readonly ending = new AbortController();
  private failure: string | undefined;

  constructor(parts: ExporterParts) {
    this.parts = parts;
  }

  add(spans: readonly Span[]): void {
    const kept = this.ending.signal.aborted ? [] : spans.slice(0, MOST_WAITING - this.waiting.length);
    if (kept.length < spans.length) {
      this.parts.onDropped(spans.length - kept.length);
    }
    this.waiting.push(...kept);
    if (this.waiting.length >= MOST_AT_ONCE) {
      this.start();
    } else {
      this.timer ??= setTimeout(() => this.start(), PAUSE_MS).unref();
    }
  }

  /** Sends what is left, for a short time. */
  async [Symbol.asyncDispose](): Promise<void> {
    const late = setTimeout(() => this.ending.abort(new Error('the agent ends')), this.parts.graceMs ?? GRACE_MS);
    this.start();
    await this.sending;
    clearTimeout(late);
    this.ending.abort(new Error('the agent ends'));
    clearTimeout(this.timer);
  }

  private start(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.sending ??= this.sendAll().finally(() => {
      this.sending = undefined;
    });
  }

  private async sendAll(): Promise<void> {
    while (this.waiting.length > 0) {
      const some = this.waiting.slice(0, MOST_AT_ONCE);
      this.waiting = this.waiting.slice(MOST_AT_ONCE);
      await this.sendSome(some);
    }
  }

  private async sendSome(spans: readonly Span[]): Promise<void> {
    const { resource, onSent, onDropped } = this.parts;
    const scopeSpans = [{ scope: { name: 'braid' }, spans }];
    const body = JSON.stringify({ resourceSpans: [{ resource: { attributes: resource }, scopeSpans }] });
    const rejected = await this.deliver(body);
    const lost = Math.min(rejected ?? spans.length, spans.length);
    onSent(spans.length - lost);
    onDropped(lost);
  }

  /** @returns how many the collector rejects; undefined when it has taken none */
  private async deliver(body: string): Promise<number | undefined> {
    const { send, sleep = pauseOf(this.ending.signal) } = this.parts;
    for (let tries = 1; ; tries++) {
      const answer = await send(body, this.ending.signal).catch((error: unknown) => ({ failure: messageOf(error) }));
      if (!('failure' in answer) && answer.status >= 200 && answer.status < 300) {
        this.tell(undefined);
        return rejectedIn(answer.text);
      }
      this.tell('failure' in answer ? answer.failure : `status ${answer.status}`);
      const isLasting = !('failure' in answer) && !TRANSIENT.includes(answer.status);
      if (isLasting || tries === TRIES || this.ending.signal.aborted) {
        return undefined;
      }
      const asked = 'failure' in answer ? undefined : answer.retryAfterMs;
      await sleep(Math.min(asked ?? PAUSE_MS * 2 ** (tries - 1), LONGEST_PAUSE_MS));
    }
  }

  private tell(failure: string | undefined): void {
    if (failure !== this.failure) {
      this.failure = failure;
      this.parts.log(failure === undefined ? 'the collector takes spans again' : `cannot export spans: ${failure}`);
    }
  }
}

const pauseOf =
  (signal: AbortSignal) =>
  (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, signal.aborted ? 0 : ms);
      signal.addEventListener('abort', end);
    });

function rejectedIn(text: string): number {
  try {
    const { partialSuccess } = JSON.parse(text) as { partialSuccess?: { rejectedSpans?: string | number } };
    const rejected = Number(partialSuccess?.rejectedSpans ?? 0);
    return Number.isSafeInteger(rejected) && rejected > 0 ? rejected : 0;
  } catch {
    return 0;
  }
}
