import { mkdirSync, rmSync, statSync } from 'node:fs';

const STALE_MS = 60_000;
const PAUSE_MS = 50;

/**
 * Makes a folder whose name is always the same. Another build may be at work in it: waits for that, unless it died.
 *
 * @returns the path given
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
