import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { inside } from './inside.ts';

describe('inside', () => {
  it.each(['/var/lib/cni', '/var/lib/cni/', '/var//lib/./cni/../cni', 'relative', './relative/', '..', '.', '', '/'])(
    'gives the path that join gives: "%s"',
    (folder) => {
      for (const name of ['name', '.hidden', '..twice', '.', '..', '']) {
        expect(inside(folder, name), name).toBe(join(folder, name));
      }
    },
  );

  it('knows many folders apart', () => {
    for (let number = 0; number < 200; number++) {
      expect(inside(`/folder-${number}`, 'name')).toBe(`/folder-${number}/name`);
      expect(inside('/often', 'name')).toBe('/often/name');
    }
  });
});
