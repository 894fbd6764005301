import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** All modules that evaluating one evaluates: those that it imports for more than their types, and so on. */
export function loadedWith(path: string, known = new Set<string>()): ReadonlySet<string> {
  if (!known.has(path)) {
    known.add(path);
    const text = readFileSync(path, 'utf8');
    for (const [, clause = '', from = ''] of text.matchAll(/^(?:import|export) ([^;]*?) from '(\.[^']+)';/gms)) {
      const names = /^\{(.*)\}$/s
        .exec(clause)?.[1]
        ?.split(',')
        .filter((name) => name.trim() !== '');
      if (!clause.startsWith('type ') && names?.every((name) => name.trim().startsWith('type ')) !== true) {
        loadedWith(join(dirname(path), from), known);
      }
    }
  }
  return known;
}
