import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { CniError, type CodeWord } from '../../lib/cni/errors.ts';
import type { Scope } from '../../lib/cni/scope.ts';

const POLL_MS = 1000;
const TRIES = 45;

/**
 * Waits until the file that says "the pod's own network can be used" is there; '' means that none is asked for.
 *
 * @throws CniError of that code after 45 seconds
 */
export async function waitReady(file: string, scope: Scope, code: CodeWord): Promise<void> {
  for (let tries = 0; file !== '' && !existsSync(resolve(file)); tries++) {
    if (tries === TRIES) {
      const why = 'timed out waiting for the condition';
      throw new CniError(code, `cannot find readiness indicator file "${file}": ${why}`);
    }
    await scope.sleep(POLL_MS);
  }
}

/** DEL does not wait: what is wrong with the file, or undefined. */
export function readinessFault(file: string): string | undefined {
  try {
    if (file !== '') {
      statSync(resolve(file));
    }
    return undefined;
  } catch (error) {
    return `cannot find readiness indicator file "${file}": ${(error as NodeJS.ErrnoException).code}`;
  }
}
