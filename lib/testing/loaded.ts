/** What a module brings with it. */
import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');

/** Paths of all modules that evaluating one evaluates: those that it imports for more than their types, and so on. */
export const loadedWith = (path: string): readonly string[] =>
  [...follow(path, new Set())].map((one) => relative(ROOT, one));

function follow(path: string, known: Set<string>): ReadonlySet<string> {
  if (!known.has(path)) {
    known.add(path);
    const text = readFileSync(path, 'utf8');
    for (const [, clause = '', from = ''] of text.matchAll(/^(?:import|export) ([^;]*?) from '(\.[^']+)';/gms)) {
      const names = /^\{(.*)\}$/s
        .exec(clause)?.[1]
        ?.split(',')
        .filter((name) => name.trim() !== '');
      if (!clause.startsWith('type ') && names?.every((name) => name.trim().startsWith('type ')) !== true) {
        follow(join(dirname(path), from), known);
      }
    }
  }
  return known;
}
