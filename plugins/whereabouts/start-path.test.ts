import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');

/** All modules that evaluating one evaluates: those that it imports for more than their types, and so on. */
function loadedWith(path: string, known = new Set<string>()): ReadonlySet<string> {
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

describe('the start of a call', () => {
  it('loads nothing that only people, or calls about a cluster, need', () => {
    const loaded = [...loadedWith(join(import.meta.dirname, 'plugin.ts'))].map((path) => relative(ROOT, path));
    expect(loaded).toContain('plugins/whereabouts/commands.ts');
    const folders = ['lib/kube/', 'plugins/whereabouts/cluster/', 'plugins/whereabouts/survey/'];
    const more = ['plugins/whereabouts/nv-ipam/', 'plugins/whereabouts/sweep/', 'plugins/whereabouts/import.ts'];
    expect(loaded.filter((path) => [...folders, ...more].some((start) => path.startsWith(start)))).toEqual([]);
  });
});
