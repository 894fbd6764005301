import { describe, expect, it } from 'vitest';
import { BLOCKING_DISK, diskFor, sharedDisk } from './disk.ts';
import { temporaryFolder } from './testing/temporary.ts';

describe('diskFor', () => {
  it('waits for no thread where files are in memory', () => {
    expect(diskFor('/dev/shm', sharedDisk())).toBe(BLOCKING_DISK);
  });

  it('leaves other folders to the disk of the node, also those that are not there yet', () => {
    using folder = temporaryFolder();
    const disk = sharedDisk();
    expect(diskFor('/proc', disk)).toBe(disk);
    expect(diskFor(`${folder.path}/missing`, disk)).toBe(disk);
  });
});
