import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../sys/testing/temporary.ts';
import { watchFolders } from './watch.ts';

/** Longer than any test: looks come of what the kernel tells. */
const NEVER_MS = 3_600_000;

describe('watchFolders', () => {
  it('looks at once, and whenever something changes, also during a look', async () => {
    using folder = temporaryFolder();
    const ending = new AbortController();
    let looks = 0;
    const look = async (): Promise<boolean> => {
      looks++;
      if (looks < 4) {
        writeFileSync(join(folder.path, `file-${looks}`), '');
      } else {
        ending.abort();
      }
      return false;
    };
    await watchFolders({ folders: () => [folder.path], look, intervalMs: NEVER_MS, signal: ending.signal });
    expect(looks).toBe(4);
  });

  it('finds a folder again that was made anew, and does without one that is missing', async () => {
    using folder = temporaryFolder();
    const below = join(folder.path, 'below');
    const ending = new AbortController();
    let looks = 0;
    const look = async (): Promise<boolean> => {
      looks++;
      if (looks === 1) {
        mkdirSync(below); // the folder above tells of it
      } else if (looks === 2) {
        rmSync(below, { recursive: true });
        mkdirSync(below);
      } else if (looks === 3) {
        writeFileSync(join(below, 'file'), '');
      } else {
        ending.abort();
      }
      return false;
    };
    const folders = () => [folder.path, below];
    await watchFolders({ folders, look, intervalMs: NEVER_MS, signal: ending.signal });
    expect(looks).toBe(4);
  });

  it('looks now and then, and ends with its signal at once', async () => {
    const ending = new AbortController();
    let looks = 0;
    const look = async (): Promise<boolean> => {
      looks++;
      if (looks === 2) {
        setTimeout(() => ending.abort(), 1);
      }
      return looks > 1;
    };
    await watchFolders({ folders: () => [], look, intervalMs: looks < 2 ? 5 : NEVER_MS, signal: ending.signal });
    expect(looks).toBeGreaterThanOrEqual(2);
  });
});
