import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadedWith } from '../../lib/testing/loaded.ts';

describe('the start of a call', () => {
  it('loads nothing that only calls about a cluster, or pods with devices, need', () => {
    const loaded = loadedWith(join(import.meta.dirname, 'plugin.ts'));
    expect(loaded).toContain('plugins/multus/networks.ts');
    const folders = ['lib/kube/', 'plugins/multus/cluster/', 'plugins/multus/devices/'];
    expect(loaded.filter((path) => folders.some((start) => path.startsWith(start)))).toEqual([]);
  });
});
