import { mkdirSync, rmSync, statSync } from 'node:fs';

const STALE_MS = 60_000;
const PAUSE_MS = 50;

/**
 * Creates a folder with a fixed name. Waits for another build that uses it, unless that is stale.
 *
 * @returns the given path
 */
export async function claimFolder(path: string): Promise<string> {
  for (;;) {
    try {
      mkdirSync(path, { mode: 0o700 });
      return path;
    } catch {
      if (Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) > STALE_MS) {
        rmSync(path, { recursive: true, force: true });
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}
