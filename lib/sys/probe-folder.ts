import { accessSync, constants, existsSync, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { CniError } from '../cni/errors.ts';
import { ioError } from './io-error.ts';

/**
 * Could something be written in the folder now? A folder that is not there yet is judged by the nearest one above it.
 *
 * @throws CniError ioFailure
 */
export function probeFolder(folder: string): void {
  const place = nearest(folder);
  try {
    accessSync(place, constants.W_OK | constants.X_OK);
    if (!statSync(place).isDirectory()) {
      throw new CniError('ioFailure', `cannot write in "${place}": ENOTDIR (not a directory)`);
    }
    const { blocks, bavail, files, ffree } = statfsSync(place);
    if ((bavail === 0 && blocks > 0) || (ffree === 0 && files > 0)) {
      throw new CniError('ioFailure', `cannot write in "${place}": ENOSPC (no space left on device)`);
    }
  } catch (error) {
    throw error instanceof CniError ? error : ioError('write in', place, error);
  }
}

function nearest(folder: string): string {
  const above = dirname(folder);
  return existsSync(folder) || above === folder ? folder : nearest(above);
}
