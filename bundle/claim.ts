import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const PAUSE_MS = 50;
/** between the folder and its owner's number in it */
const PAUSES_WITHOUT_OWNER = 100;

/**
 * Creates a folder with a fixed name, and waits for another process that uses it. What a process has left that is no
 * more is removed.
 *
 * @returns the given path
 */
export async function claimFolder(path: string): Promise<string> {
  for (let pauses = 0; ; pauses++) {
    try {
      mkdirSync(path, { mode: 0o700 });
      writeFileSync(ownerIn(path), String(process.pid));
      return path;
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) {
        throw error;
      }
    }
    const owner = ownerOf(path);
    if (owner === undefined ? pauses > PAUSES_WITHOUT_OWNER : !isRunning(owner)) {
      rmSync(path, { recursive: true, force: true });
      pauses = 0;
    }
    await sleep(PAUSE_MS);
  }
}

const hasCode = (error: unknown, code: string): boolean => (error as NodeJS.ErrnoException).code === code;

const ownerIn = (path: string): string => join(path, 'owner');

function ownerOf(path: string): number | undefined {
  try {
    return Number.parseInt(readFileSync(ownerIn(path), 'utf8'), 10) || undefined;
  } catch {
    return undefined;
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !hasCode(error, 'ESRCH');
  }
}
