import { join } from 'node:path';
import { heldBefore } from './kubelet/checkpoint.ts';
import type { Kubelet } from './kubelet/folders.ts';
import { heldBy, listHolders } from './kubelet/holders.ts';
import type { Held } from './source.ts';

/** The kubelet answers a hundred questions a second, of all who ask. */
const PAUSE_MS = 1_000;
/** For an event: the kubelet's answer may come later. */
const PATIENCE_MS = 15;
/** Whoever ends a program does not wait long. */
const END_MS = 1_000;

/** Which devices containers have, as the kubelet said last. */
export class Holdings {
  private readonly socket: string;
  private readonly signal: AbortSignal;
  private readonly changed: () => void;
  private asking: Promise<void> | undefined;
  private last: Held | undefined;
  private before: Held | undefined;
  private later: NodeJS.Timeout | undefined;
  private askedAt = Number.NEGATIVE_INFINITY;

  /** @param changed called when there may be another answer than the one before, which nobody has waited for */
  constructor({ root }: Kubelet, signal: AbortSignal, changed: () => void) {
    this.before = heldBefore(root);
    this.socket = join(root, 'pod-resources', 'kubelet.sock');
    this.signal = signal;
    this.changed = changed;
  }

  /**
   * For when all has ended: a container may have got a device since the last answer.
   *
   * @returns undefined: the kubelet does not say
   */
  async atEnd(): Promise<Held | undefined> {
    return listHolders(this.socket, AbortSignal.timeout(END_MS)).then(heldBy, () => undefined);
  }

  /**
   * Asks, and waits for the answer as long as it takes. The first time with what the kubelet has written down: it may be
   * starting, and say nothing yet.
   */
  async asked(): Promise<Held> {
    await this.ask();
    const { before } = this;
    this.before = undefined;
    return together(before ?? new Map(), this.last ?? new Map());
  }

  /** Asks, but does not wait long: the newest that is known. After a pause if it has just been asked. */
  async soon(now: number): Promise<Held> {
    const left = this.askedAt + PAUSE_MS - now;
    if (left > 0) {
      this.later ??= setTimeout(() => {
        this.later = undefined;
        this.changed();
      }, left).unref();
    } else {
      this.askedAt = now;
      const before = this.last;
      let isWaiting = true;
      const answer = this.ask().then(() => {
        if (!isWaiting && !isEqual(before, this.last)) {
          this.changed();
        }
      });
      let patience: NodeJS.Timeout | undefined;
      await Promise.race([answer, new Promise((resolve) => (patience = setTimeout(resolve, PATIENCE_MS)))]);
      clearTimeout(patience);
      isWaiting = false;
    }
    return this.last ?? new Map();
  }

  private ask(): Promise<void> {
    this.asking ??= listHolders(this.socket, this.signal)
      .then((holders) => {
        this.last = heldBy(holders);
      })
      .catch(() => undefined)
      .finally(() => {
        this.asking = undefined;
      });
    return this.asking;
  }
}

const together = (a: Held, b: Held): Held =>
  new Map([...a.keys(), ...b.keys()].map((name) => [name, new Set([...(a.get(name) ?? []), ...(b.get(name) ?? [])])]));

function isEqual(a: Held | undefined, b: Held | undefined): boolean {
  const text = (held: Held | undefined): string =>
    JSON.stringify(held && [...held].map(([name, ids]) => [name, [...ids].sort()]).sort());
  return text(a) === text(b);
}
