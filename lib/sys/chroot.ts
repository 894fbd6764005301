import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Env } from './execute.ts';

const SYSTEM_FOLDERS = ['/usr/sbin', '/sbin', '/usr/bin', '/bin'];

/** Where chroot(8) is: the image has one, and every system; undefined where there is none. */
export function findChroot(env: Env): string | undefined {
  return [...(env['PATH'] ?? '').split(':').filter((folder) => folder !== ''), ...SYSTEM_FOLDERS]
    .map((folder) => join(folder, 'chroot'))
    .find((path) => existsSync(path));
}
