import { join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadedWith } from '../../lib/testing/loaded.ts';

const ROOT = join(import.meta.dirname, '../..');

describe('the start of a call', () => {
  it('loads nothing that only calls about a cluster, or networks with devices, need', () => {
    const loaded = [...loadedWith(join(import.meta.dirname, 'plugin.ts'))].map((path) => relative(ROOT, path));
    expect(loaded).toContain('plugins/multus/networks.ts');
    expect(loaded.filter((path) => /^(lib\/(grpc|kube)|plugins\/multus\/(cluster|devices))\//.test(path))).toEqual([]);
  });
});
