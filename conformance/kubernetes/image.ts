/** Our images, as the build makes them. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun } from '../lab/execute.ts';
import { DIST, ROOT, STANDALONE } from '../lab/programs.ts';

export const VERSION = (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { readonly version: string })
  .version;

/** @returns the archive, made unless it is that of the program */
export async function imageOf(name: string): Promise<string> {
  const archive = join(DIST, `image/${name}-${VERSION}.tar`);
  if (!existsSync(archive) || statSync(archive).mtimeMs < statSync(join(STANDALONE, 'braid')).mtimeMs) {
    await mustRun([process.execPath, join(ROOT, 'bundle/image.ts')]);
  }
  return archive;
}
