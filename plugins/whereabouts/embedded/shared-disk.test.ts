import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatIp } from '../../../lib/net/ip.ts';
import { BLOCKING_DISK, type Disk } from '../../../lib/sys/disk.ts';
import { temporaryFolder } from '../../../lib/sys/testing/temporary.ts';
import { owner, reserved, storeHost, storeIn } from '../testing/fixtures.ts';
import { add, FOUR, filesIn, LOG, restore, sequenceOf } from '../testing/store-files.ts';

/** A disk that is as slow as the test wants. */
class SlowDisk implements Disk {
  readonly sync = BLOCKING_DISK.sync;
  readonly syncFolder = BLOCKING_DISK.syncFolder;
  private readonly waiting: PromiseWithResolvers<void>[] = [];

  syncData(): Promise<void> {
    const turn = Promise.withResolvers<void>();
    this.waiting.push(turn);
    return turn.promise;
  }

  /** How many syncs are under way, once there are any. */
  async asked(): Promise<number> {
    await expect.poll(() => this.waiting.length, { interval: 1 }).toBeGreaterThan(0);
    return this.waiting.length;
  }

  end(error?: Error): void {
    const turn = this.waiting.shift();
    if (error === undefined) {
      turn?.resolve();
    } else {
      turn?.reject(error);
    }
  }
}

describe('the embedded store of a process that serves many', () => {
  it('answers when the disk has it, and joins who comes meanwhile', async () => {
    using folder = temporaryFolder(true);
    const [path, disk] = [join(folder.path, 'data'), new SlowDisk()];
    using host = storeHost(disk);
    const store = storeIn(path, host);
    const answers: string[] = [];
    const ask = async (who: string): Promise<void> => {
      answers.push(...(await reserved(store, who, FOUR)));
    };
    const first = ask('a/a net1 idA');
    expect([await disk.asked(), answers, sequenceOf(path)]).toEqual([1, [], 0]);
    const others = ['b', 'c', 'd'].map((name) => ask(`a/${name} net1 id${name}`));
    disk.end();
    await first;
    expect([await disk.asked(), answers, sequenceOf(path)]).toEqual([1, ['10.0.0.1'], 1]);
    disk.end();
    await Promise.all(others);
    expect(answers.toSorted()).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4']);
    expect(sequenceOf(path)).toBe(2);
  });

  it('tells what it gives while the disk is at work, to whom waits for the disk later', async () => {
    using folder = temporaryFolder(true);
    const [path, disk] = [join(folder.path, 'data'), new SlowDisk()];
    using host = storeHost(disk);
    const request = { owner: owner('a/a net1 idA'), ranges: FOUR, protectOverlaps: true };
    const { ips, durable } = await storeIn(path, host).reserve(request);
    expect([ips.map(formatIp), await disk.asked(), sequenceOf(path)]).toEqual([['10.0.0.1'], 1, 0]);
    const refused = expect(durable).rejects.toThrow('-wal": it is broken');
    disk.end(new Error('it is broken'));
    await refused;
    expect(sequenceOf(path)).toBe(0);
  });

  it('gives nothing that the disk refuses, and promises it to nobody', async () => {
    using folder = temporaryFolder(true);
    const [path, disk] = [join(folder.path, 'data'), new SlowDisk()];
    using host = storeHost(disk);
    const answer = reserved(storeIn(path, host), 'a/a net1 idA', FOUR);
    const refused = expect(answer).rejects.toThrow('-wal": it is broken');
    await disk.asked();
    disk.end(new Error('it is broken'));
    await refused;
    expect(sequenceOf(path)).toBe(0);
    expect(await add(path, 'a/a net1 idA', FOUR)).toEqual(['10.0.0.1']);
  });

  it('releases where the disk finds out late that it is full, and gives nothing there', async () => {
    using folder = temporaryFolder(true);
    const [path, disk] = [join(folder.path, 'data'), new SlowDisk()];
    using host = storeHost(disk);
    const store = storeIn(path, host);
    const first = reserved(store, 'a/a net1 idA', FOUR);
    await disk.asked();
    disk.end();
    await first;
    const full = Object.assign(new Error('ENOSPC: no space left on device, fdatasync'), { code: 'ENOSPC' });
    const released = store.release({ id: 'idA', ifname: 'net1' });
    expect(await disk.asked()).toBe(1);
    disk.end(full);
    await released;
    const refused = expect(reserved(store, 'a/b net1 idB', FOUR)).rejects.toThrow('ENOSPC (no space left on device)');
    for (let tries = 0; tries < 2; tries++) {
      expect(await disk.asked()).toBe(1);
      disk.end(full);
    }
    await refused;
    expect(await add(path, 'a/c net1 idC', FOUR)).toEqual(['10.0.0.2']); // until DEL of what failed
  });

  it('loses nothing that was answered in a power cut', async () => {
    using folder = temporaryFolder(true);
    const [path, disk] = [join(folder.path, 'data'), new SlowDisk()];
    using host = storeHost(disk);
    const store = storeIn(path, host);
    const first = reserved(store, 'a/a net1 idA', FOUR);
    await disk.asked();
    disk.end();
    await first;
    const synced = filesIn(path);
    const second = reserved(store, 'a/b net1 idB', FOUR);
    await disk.asked();
    const cut = join(folder.path, 'cut');
    restore(cut, filesIn(path), { [LOG]: synced.contents[LOG] ?? Buffer.alloc(0) }); // the second was not synced yet
    disk.end();
    await second;
    expect(await add(cut, 'a/a net1 idA', FOUR)).toEqual(['10.0.0.1']);
    expect(await add(cut, 'a/c net1 idC', FOUR)).toEqual(['10.0.0.2']);
  });
});
