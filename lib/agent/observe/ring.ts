import type { CallRecord } from './record.ts';

/** 4 MB at most. */
const MOST_CALLS = 1000;
const MOST_SPANS = 60_000;

/** The last calls, so many and with so many parts; the oldest go first. */
export class Ring {
  private readonly calls: CallRecord[] = [];
  private spans = 0;

  add(call: CallRecord): void {
    this.calls.push(call);
    this.spans += call.names.length;
    while (this.calls.length > MOST_CALLS || this.spans > MOST_SPANS) {
      this.spans -= this.calls.shift()?.names.length ?? 0;
    }
  }

  get size(): number {
    return this.calls.length;
  }

  /**
   * The calls for a pod, oldest first.
   *
   * @param of `namespace/name`, its name alone, or the beginning of a container's ID
   */
  find(of: string): readonly CallRecord[] {
    return this.calls.filter(({ facts }) => isOf(facts, of));
  }
}

const isOf = ({ pod, container }: CallRecord['facts'], of: string): boolean =>
  of !== '' && (pod === of || pod.endsWith(`/${of}`) || container.startsWith(of));
