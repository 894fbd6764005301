import { readFileSync } from 'node:fs';
import { uptime } from 'node:os';
import { ioError } from './io-error.ts';

const BOOT_ID = '/proc/sys/kernel/random/boot_id';

/**
 * The kernel's boot id, which changes with every boot.
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

/** Boot time since the epoch, by the current clock: an older file was written before the boot. */
export const bootTimeMs = (): number => Date.now() - uptime() * 1000;
