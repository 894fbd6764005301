import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder that is removed with the test. */
export interface Temporary extends Disposable {
  readonly path: string;
}

const MEMORY = '/dev/shm';

/** @param isInMemory for tests that sync a thousand times, and are not about disks */
export function temporaryFolder(isInMemory = false): Temporary {
  const path = mkdtempSync(join(isInMemory && existsSync(MEMORY) ? MEMORY : tmpdir(), 'braid-test-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}
