import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';

/**
 * Whether the kernel has a module: built in, loaded, or loadable on demand.
 *
 * @returns undefined if unknown: a kernel without modules does not show what is built in
 */
export function hasModule(sysfs: string, name: string): boolean | undefined {
  if (existsSync(join(sysfs, 'module', name))) {
    return true;
  }
  const lists = ['modules.builtin', 'modules.dep'].map((file) => textOf(join('/lib/modules', release(), file)));
  if (lists.every((text) => text === '')) {
    return undefined;
  }
  return lists.some((text) => new RegExp(`/${name}\\.ko`, 'm').test(text));
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
