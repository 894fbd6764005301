import { readFileSync } from 'node:fs';
import { uptime } from 'node:os';
import { ioError } from './io-error.ts';

const BOOT_ID = '/proc/sys/kernel/random/boot_id';

/**
 * A name for this run of the kernel, another after each boot.
 *
 * @throws CniError ioFailure
 */
export function readBootId(): string {
  try {
    return readFileSync(BOOT_ID, 'utf8').trim();
  } catch (error) {
    throw ioError('read', BOOT_ID, error);
  }
}

/** Since the epoch, by today's clock: a file that is older was written before the kernel started. */
export const bootTimeMs = (): number => Date.now() - uptime() * 1000;
