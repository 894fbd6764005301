import { copyFileSync, linkSync } from 'node:fs';

/** The file itself: a build that goes on meanwhile replaces names, and does not change files. */
export function placeFile(path: string, target: string): void {
  try {
    linkSync(path, target);
  } catch {
    copyFileSync(path, target); // another file system
  }
}
