import { join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadedWith } from '../../lib/testing/loaded.ts';

const ROOT = join(import.meta.dirname, '../..');

describe('the start of a call', () => {
  it('loads nothing that only people, or calls about a cluster, need', () => {
    const loaded = [...loadedWith(join(import.meta.dirname, 'plugin.ts'))].map((path) => relative(ROOT, path));
    expect(loaded).toContain('plugins/whereabouts/commands.ts');
    const folders = ['lib/kube/', 'plugins/whereabouts/cluster/', 'plugins/whereabouts/survey/'];
    const more = ['plugins/whereabouts/nv-ipam/', 'plugins/whereabouts/sweep/', 'plugins/whereabouts/import.ts'];
    expect(loaded.filter((path) => [...folders, ...more].some((start) => path.startsWith(start)))).toEqual([]);
  });
});
