import { join } from 'node:path';
import type { Scope } from '../../../lib/cni/scope.ts';
import { makeFolder } from '../../../lib/sys/atomic-file.ts';
import { FileLock } from '../../../lib/sys/lock.ts';

/** Then it goes on without: nothing depends on it but the number of requests. */
const LONGEST_MS = 10_000;

/**
 * The turn of a call among those of its node. A pool's object is written as a whole: who writes it at the same time as
 * others makes the server do it again and again.
 */
export async function turnIn(folder: string, scope: Scope): Promise<Disposable> {
  try {
    makeFolder(folder);
    return await FileLock.acquire(scope, join(folder, 'cluster.lock'), { timeoutMs: LONGEST_MS });
  } catch {
    return { [Symbol.dispose]: () => undefined };
  }
}
