/** What removes folders and groups when the tests have ended, however they have. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

export class Warden implements AsyncDisposable {
  private readonly child;

  constructor() {
    // In a session of its own: what is meant for the tests must not end it before them.
    this.child = spawn('bash', [join(import.meta.dirname, 'warden.sh')], {
      detached: true,
      stdio: ['pipe', 'ignore', 'inherit'],
    });
  }

  /** A folder, or a group below those of the hierarchies of cgroups: an absolute path. */
  removes(path: string): void {
    this.child.stdin.write(`${path}\n`);
  }

  /** Now, once all that is in them has been ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.child, 'exit');
    this.child.stdin.end();
    await ended;
  }
}
