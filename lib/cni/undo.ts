import { messageOf } from './errors.ts';
import type { Scope } from './scope.ts';

/** One thing to undo, with a scope that is never cancelled. */
type Step = (unending: Scope) => void | Promise<void>;

/**
 * Undoes what was done, last first. Push an entry right after its effect; commit on success.
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

  /** Keeps everything so far. */
  commit(): void {
    this.entries.length = 0;
  }

  /** Undoes what was not committed. A failed step is logged and does not stop the others. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (let entry = this.entries.pop(); entry !== undefined; entry = this.entries.pop()) {
      try {
        await entry.run(this.scope.unending);
      } catch (error) {
        this.tell(`cannot undo (${entry.label}): ${messageOf(error)}`);
      }
    }
  }

  /** A failing log must not stop the undo. */
  private tell(line: string): void {
    try {
      this.scope.log(line);
    } catch {
      // nowhere else to report it
    }
  }
}
