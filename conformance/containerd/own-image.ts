/** Our images, as the build makes them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun } from '../lab/execute.ts';
import { DIST, ROOT, STANDALONE } from '../lab/programs.ts';

export const VERSION = (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { readonly version: string })
  .version;

/** Tiers run side by side: one makes all images, and the others wait, and have them. */
const MAKE = '[ "$0" -nt "$1" ] || exec "$2" "$3"';

/** @returns the archive, made unless it is that of the program */
export async function imageOf(name: string): Promise<string> {
  const archive = join(DIST, `image/${name}-${VERSION}.tar`);
  const program = join(STANDALONE, 'braid');
  const make = ['sh', '-c', MAKE, archive, program, process.execPath, join(ROOT, 'bundle/image.ts')];
  await mustRun(['flock', program, ...make]);
  return archive;
}
