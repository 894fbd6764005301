import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BLOCKING_DISK, type Disk, sharedDisk } from './disk.ts';
import { beginDurably, placeDurably } from './durable-file.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'braid-durable-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('placeDurably', () => {
  it.each([
    ['that blocks', () => BLOCKING_DISK],
    ['that is shared', sharedDisk],
  ])('replaces files with a disk %s', async (_, makeDisk) => {
    const disk = makeDisk();
    writeFileSync(join(folder, 'a'), 'old');
    const placed = await Promise.all(
      ['a', 'b', 'c'].map((name) => placeDurably(disk, join(folder, name), `new ${name}`)),
    );
    expect(readdirSync(folder)).toEqual(['a', 'b', 'c']);
    expect(readFileSync(join(folder, 'a'), 'utf8')).toBe('new a');
    expect(statSync(join(folder, 'b')).mode & 0o777).toBe(0o600);
    await Promise.all(placed.map(({ durable }) => durable));
  });

  it('has the content on the disk, then the file in its place, then its name on the disk', async () => {
    const path = join(folder, 'a');
    const seen: string[] = [];
    const note = async (what: string): Promise<void> => void seen.push(`${what} ${readdirSync(folder)}`);
    const disk: Disk = {
      ...BLOCKING_DISK,
      sync: () => note('content'),
      syncFolder: (of) => note(`names ${of === folder}`),
    };
    const { durable } = await placeDurably(disk, path, 'x');
    await durable;
    expect(seen).toEqual(['content .a.tmp', 'names true a']);
  });

  it('leaves what was there when the content does not get to the disk', async () => {
    const path = join(folder, 'a');
    writeFileSync(path, 'old');
    const error = Object.assign(new Error('EIO: i/o error, fsync'), { code: 'EIO' });
    const disk: Disk = { ...BLOCKING_DISK, sync: () => Promise.reject(error) };
    await expect(placeDurably(disk, path, 'new')).rejects.toThrow(`cannot write "${path}": EIO (i/o error)`);
    expect([readdirSync(folder), readFileSync(path, 'utf8')]).toEqual([['a'], 'old']);
  });
});

describe('beginDurably', () => {
  it('leaves nothing of a file that is not placed, once the disk is done with it', async () => {
    writeFileSync(join(folder, 'a'), 'old');
    const { promise, resolve } = Promise.withResolvers<void>();
    const disk: Disk = { ...BLOCKING_DISK, sync: () => promise };
    const dropped = beginDurably(disk, join(folder, 'a'), 'new')[Symbol.asyncDispose]();
    expect(readdirSync(folder)).toEqual(['.a.tmp', 'a']);
    resolve();
    await dropped;
    expect([readdirSync(folder), readFileSync(join(folder, 'a'), 'utf8')]).toEqual([['a'], 'old']);
  });

  it('leaves a file that is placed', async () => {
    {
      await using file = beginDurably(BLOCKING_DISK, join(folder, 'a'), 'new');
      await file.place();
    }
    expect([readdirSync(folder), readFileSync(join(folder, 'a'), 'utf8')]).toEqual([['a'], 'new']);
  });
});

describe('a shared disk', () => {
  it('says which folder cannot be synced', async () => {
    const missing = join(folder, 'missing');
    await expect(sharedDisk().syncFolder(missing)).rejects.toThrow(
      `cannot sync folder "${missing}": ENOENT (no such file or directory)`,
    );
  });
});
