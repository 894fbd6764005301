import { type Changes, together } from './kernel-events.ts';

const NOTHING: Changes = new Set();

/** Rings may be many; who waits hears one, and what all of them were about. */
export class Bell {
  private rung = Promise.withResolvers<void>();
  private changes: Changes = NOTHING;

  ring(changes: Changes = NOTHING): void {
    this.changes = together(this.changes, changes);
    this.rung.resolve();
  }

  /** What has not been seen to: whoever hears the next ring is told of it too. */
  keep(changes: Changes): void {
    this.changes = together(this.changes, changes);
  }

  heard(): Promise<void> {
    return this.rung.promise;
  }

  /** What has been rung for so far; the next ring is a new one. */
  silence(): Changes {
    const { changes } = this;
    this.changes = NOTHING;
    this.rung = Promise.withResolvers();
    return changes;
  }
}
