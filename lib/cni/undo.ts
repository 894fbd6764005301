import { messageOf } from './errors.ts';

/**
 * What has been done and how to undo it, last first. Push an entry right after its effect; commit when all is well.
 *
 *     await using undo = new Undo(host.log);
 *     const link = createLink(…);
 *     undo.push('delete the link', () => removeLink(link));
 *     …
 *     undo.commit();
 */
export class Undo implements AsyncDisposable {
  private readonly entries: { readonly label: string; readonly run: () => void | Promise<void> }[] = [];
  private readonly log: (line: string) => void;

  constructor(log: (line: string) => void) {
    this.log = log;
  }

  push(label: string, run: () => void | Promise<void>): void {
    this.entries.push({ label, run });
  }

  /** Everything so far stays. */
  commit(): void {
    this.entries.length = 0;
  }

  /** Undoes what was not committed. A step that fails is logged and does not stop the others. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (let entry = this.entries.pop(); entry !== undefined; entry = this.entries.pop()) {
      try {
        await entry.run();
      } catch (error) {
        this.tell(`cannot undo (${entry.label}): ${messageOf(error)}`);
      }
    }
  }

  /** A line that cannot be logged leaves nothing undone. */
  private tell(line: string): void {
    try {
      this.log(line);
    } catch {
      // there is no other place to tell it
    }
  }
}
