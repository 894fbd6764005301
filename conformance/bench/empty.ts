import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CACHE } from './lab.ts';

/**
 * A single executable application of this Node that does nothing: what a standalone program costs at the least. It is
 * made as ours are, and kept.
 */
export function emptyProgram(): string {
  const path = join(CACHE, `empty-${process.version}`);
  if (existsSync(path)) {
    return path;
  }
  mkdirSync(CACHE, { recursive: true });
  const work = mkdtempSync(join(CACHE, 'empty-'));
  try {
    writeFileSync(join(work, 'main.js'), '');
    const config = {
      main: 'main.js',
      output: 'program',
      disableExperimentalSEAWarning: true,
      useCodeCache: true,
      execArgvExtension: 'none',
    };
    writeFileSync(join(work, 'sea.json'), JSON.stringify(config));
    execFileSync(process.execPath, ['--build-sea=sea.json'], { cwd: work, stdio: ['ignore', 'ignore', 'inherit'] });
    renameSync(join(work, 'program'), path);
    return path;
  } finally {
    rmSync(work, { recursive: true });
  }
}
