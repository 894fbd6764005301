import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';

/**
 * Can the kernel do what a module is for: built in, loaded, or to be loaded when it is asked for?
 *
 * @returns undefined when nothing tells: a kernel without modules shows nothing of what is built in
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
