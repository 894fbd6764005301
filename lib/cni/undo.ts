import { messageOf } from './errors.ts';
import type { Scope } from './scope.ts';

/** One thing to undo, with a scope that does not end before it is done. */
type Step = (unending: Scope) => void | Promise<void>;

/**
 * What has been done and how to undo it, last first. Push an entry right after its effect; commit when all is well.
 *
 *     await using undo = new Undo(scope);
 *     const link = createLink(…);
 *     undo.push('delete the link', (unending) => removeLink(unending, link));
 *     …
 *     undo.commit();
 */
export class Undo implements AsyncDisposable {
  private readonly entries: { readonly label: string; readonly run: Step }[] = [];
  private readonly scope: Pick<Scope, 'log' | 'unending'>;

  constructor(scope: Pick<Scope, 'log' | 'unending'>) {
    this.scope = scope;
  }

  push(label: string, run: Step): void {
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
        await entry.run(this.scope.unending);
      } catch (error) {
        this.tell(`cannot undo (${entry.label}): ${messageOf(error)}`);
      }
    }
  }

  /** A line that cannot be logged leaves nothing undone. */
  private tell(line: string): void {
    try {
      this.scope.log(line);
    } catch {
      // there is no other place to tell it
    }
  }
}
