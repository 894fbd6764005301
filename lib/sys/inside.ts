import { join } from 'node:path';

/** Folders that are known; a node has a handful. */
const MOST = 64;

/** They name the folder itself, or the one above. */
const OTHERS: readonly string[] = ['', '.', '..'];

const starts = new Map<string, string>();

/**
 * The path of a name in a folder, as `join` makes it, which looks at every letter of both. The folder is looked at once.
 *
 * @param name has no "/"
 */
export function inside(folder: string, name: string): string {
  return OTHERS.includes(name) ? join(folder, name) : startOf(folder) + name;
}

function startOf(folder: string): string {
  const known = starts.get(folder);
  if (known !== undefined) {
    return known;
  }
  const start = join(folder, '_').slice(0, -1);
  if (starts.size >= MOST) {
    starts.clear();
  }
  starts.set(folder, start);
  return start;
}
