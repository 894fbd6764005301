import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { CniError, type CodeWord } from '../../lib/cni/errors.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { poll } from '../../lib/sys/clock.ts';

const TIMEOUT_MS = 45_000;
const RHYTHM = { firstMs: 1000, longestMs: 1000 };

/**
 * Waits until the file that says "the pod's own network can be used" is there; '' means that none is asked for.
 *
 * @throws CniError of that code after 45 seconds
 */
export async function waitReady(file: string, scope: Scope, code: CodeWord): Promise<void> {
  if (file === '') {
    return;
  }
  const isThere = await poll(scope, TIMEOUT_MS, RHYTHM, () => (existsSync(resolve(file)) ? true : undefined));
  if (!isThere) {
    const why = 'timed out waiting for the condition';
    throw new CniError(code, `cannot find readiness indicator file "${file}": ${why}`);
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
