import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder that is removed with the test. */
export interface Temporary extends Disposable {
  readonly path: string;
}

export function temporaryFolder(): Temporary {
  const path = mkdtempSync(join(tmpdir(), 'braid-test-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}
