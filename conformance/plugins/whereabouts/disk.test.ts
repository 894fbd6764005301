/** Disks that are full, have no inodes, or cannot be written: pods go, none comes, and STATUS tells. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { mustRun } from '../../lab/execute.ts';
import { Lab } from '../../lab/lab.ts';
import { PROCESSES, STANDALONE } from '../../lab/programs.ts';
import { reservationsIn } from '../../lab/reservations.ts';
import { databaseIn, Store } from '../../lab/store.ts';

const RANGE = { range: '10.5.0.0/24' };

/** A store on a disk of its own. */
async function onDisk(options: string) {
  const lab = await Lab.open();
  const disk = await lab.smallDisk('disk', options);
  const folder = join(disk, 'store');
  const ranges = { ...RANGE, data_dir: folder };
  return {
    lab,
    disk,
    folder,
    store: new Store(lab, ranges),
    /** the same, whatever the form: nobody has its files open between calls */
    closed: new Store(lab, ranges, PROCESSES),
    filler: join(disk, 'filler'),
  };
}

type Disk = Awaited<ReturnType<typeof onDisk>>;

/** Takes every block that is left. */
function fillBlocks({ filler }: Disk): void {
  for (let bytes = 64 * 1024; bytes >= 4096; ) {
    try {
      writeFileSync(filler, Buffer.alloc(bytes), { flag: 'a' });
    } catch {
      bytes /= 2;
    }
  }
}

/** Takes every inode that is left. */
function fillInodes({ filler }: Disk): void {
  mkdirSync(filler);
  try {
    for (let i = 0; ; i++) {
      writeFileSync(join(filler, String(i)), '');
    }
  } catch {
    // none is left
  }
}

/** What `braid ipam export` prints of a range with so many reservations. */
function exportOf(count: number): string {
  const reservations = Array.from({ length: count }, (_, index) => ({
    address: `10.5.${Math.floor((index + 1) / 256)}.${(index + 1) % 256}`,
    containerId: `c${index}`,
    interface: 'net1',
    pod: `lab/pod-with-a-name-as-they-are-${index}`,
    network: 'net-a',
  }));
  return JSON.stringify({
    format: 1,
    networks: [{ networkName: '', pools: [{ range: '10.5.0.0/16', reservations }] }],
  });
}

const full = { code: 5, message: expect.stringMatching(/ENOSPC \(no space left on device\)/) };
const status = { document: { cniVersion: '1.1.0' } };
const kept = ({ folder }: Disk): readonly number[] =>
  ['kept-space.1', 'kept-space.2'].map((name) => statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0);
const WHOLE = [128 * 1024, 128 * 1024];

describe.each([
  { what: 'no blocks', options: '4m', fill: fillBlocks },
  { what: 'no inodes', options: '4m,nr_inodes=40', fill: fillInodes },
])('a disk with $what left', ({ options, fill }) => {
  it('lets every pod go, gives no address, and has code 50 for STATUS; with room again all is as before', async () => {
    const disk = await onDisk(options);
    await using _lab = disk.lab;
    const { store, folder } = disk;
    const ids = Array.from({ length: 30 }, (_, index) => `c${index}`);
    for (const id of ids) {
      await store.add(id);
    }
    expect(kept(disk)).toEqual(WHOLE);
    fill(disk);
    expect(await store.fails('STATUS', '', status)).toMatchObject({ code: 50, message: full.message });
    for (const [index, id] of ids.slice(0, 20).entries()) {
      await store.del(id);
      expect(reservationsIn(folder)).toHaveLength(29 - index);
    }
    rmSync(disk.filler, { recursive: true });
    expect(await store.call('STATUS', '', status)).toMatchObject({ exitCode: 0 });
    expect(await store.add('new')).toEqual(['10.5.0.1/24']);
    expect(kept(disk)).toEqual(WHOLE);
  });

  it('lets a pod go also when log and index of the database must be made anew', async () => {
    const disk = await onDisk(options);
    await using _lab = disk.lab;
    await disk.closed.add('a');
    await disk.closed.add('b');
    const database = new DatabaseSync(databaseIn(disk.folder));
    database.exec('SELECT id FROM store');
    database.close(); // as sqlite3 does: both files go with it
    expect(readdirSync(disk.folder).filter((name) => /-(wal|shm)$/.test(name))).toEqual([]);
    fill(disk);
    await disk.store.del('a');
    expect(reservationsIn(disk.folder)).toMatchObject([{ containerId: 'b' }]);
    await disk.store.del('b');
    expect(reservationsIn(disk.folder)).toEqual([]);
  });

  it.each([20, 1500])('lets pods go whose %i addresses came all at once', async (count) => {
    const disk = await onDisk(options.replace('4m', '8m'));
    await using _lab = disk.lab;
    const exported = join(disk.lab.dir, 'exported.json');
    writeFileSync(exported, exportOf(count));
    await mustRun([join(STANDALONE, 'braid'), 'ipam', 'import', exported, '--data-dir', disk.folder]);
    fill(disk);
    for (let index = 0; index < 40 && index < count; index++) {
      await disk.store.del(`c${index}`);
    }
    expect(reservationsIn(disk.folder)).toHaveLength(Math.max(count - 40, 0));
    rmSync(disk.filler, { recursive: true });
    expect(await disk.store.with({ range: '10.5.0.0/16' }).add('new')).toEqual(['10.5.0.1/16']);
    expect(kept(disk)).toEqual(WHOLE);
  });

  it('gives no address from the space that is kept', async () => {
    const disk = await onDisk(options);
    await using _lab = disk.lab;
    await disk.store.add('a');
    for (const name of ['kept-space.1', 'kept-space.2']) {
      rmSync(join(disk.folder, name)); // as a release that needed it, on a disk that others have filled since
    }
    fill(disk);
    expect(await disk.store.fails('ADD', 'b')).toMatchObject(full);
    expect(reservationsIn(disk.folder)).toMatchObject([{ containerId: 'a' }]);
    rmSync(disk.filler, { recursive: true });
    expect(await disk.store.add('b')).toEqual(['10.5.0.2/24']);
  });
});

describe('a disk that becomes full', () => {
  it('at any step of the first ADD leaves nothing that keeps the next from working', async () => {
    const outcomes = { given: 0, refused: 0 };
    for (let pages = 0; pages <= 110; pages += pages < 8 || (pages > 64 && pages < 90) ? 1 : 6) {
      const disk = await onDisk('1m');
      await using _lab = disk.lab;
      fillBlocks(disk);
      const bytes = readFileSync(disk.filler);
      writeFileSync(disk.filler, bytes.subarray(0, bytes.length - pages * 4096));
      const { stdout, exitCode } = await disk.store.call('ADD', 'a');
      if (exitCode === 0) {
        outcomes.given++;
        await disk.store.del('a');
      } else {
        outcomes.refused++;
        expect(JSON.parse(stdout), `with ${pages} pages`).toMatchObject({ code: 5 });
        await disk.store.del('a');
        expect(existsSync(disk.folder) ? reservationsIn(disk.folder) : []).toEqual([]);
      }
      rmSync(disk.filler);
      expect(await disk.store.add('b'), `with ${pages} pages`).toEqual(['10.5.0.1/24']);
    }
    expect(outcomes.given).toBeGreaterThan(2);
    expect(outcomes.refused).toBeGreaterThan(10);
  }, 900_000);

  it('while pods come and go doubles no address and keeps no pod', async () => {
    const disk = await onDisk('1m');
    await using _lab = disk.lab;
    const { store } = disk;
    const held = new Map<string, string>();
    await store.add('first');
    fillBlocks(disk);
    for (let round = 0; round < 40; round++) {
      const outcome = await store.call('ADD', `c${round}`);
      if (outcome.exitCode === 0) {
        held.set(`c${round}`, (JSON.parse(outcome.stdout) as { ips: { address: string }[] }).ips[0]?.address ?? '');
      } else {
        expect(JSON.parse(outcome.stdout)).toMatchObject({ code: 5 });
      }
      if (round % 2 === 1) {
        const [id] = held.keys();
        if (id !== undefined) {
          await store.del(id);
          held.delete(id);
        }
      }
    }
    expect(new Set(held.values()).size).toBe(held.size);
    expect(
      reservationsIn(disk.folder)
        .map(({ containerId }) => containerId)
        .toSorted(),
    ).toEqual(['first', ...held.keys()].toSorted());
  });
});

describe('a file system that is read-only', () => {
  it('has code 5 for ADD and DEL and 50 for STATUS, and changes nothing', async () => {
    await using lab = await Lab.open();
    const [store, closed] = [new Store(lab, RANGE), new Store(lab, RANGE, PROCESSES)];
    await closed.add('a');
    const before = reservationsIn(store.folder);
    await lab.makeReadOnly(store.folder);
    for (const verb of ['ADD', 'DEL'] as const) {
      expect(await store.fails(verb, verb === 'ADD' ? 'b' : 'a')).toMatchObject({
        code: 5,
        message: expect.stringMatching(/EROFS/),
      });
    }
    expect(await store.fails('STATUS', '', status)).toMatchObject({ code: 50 });
    await lab.makeWritable(store.folder);
    expect(reservationsIn(store.folder)).toEqual(before);
    await closed.del('a');
  });

  it('mounted so over a whole disk is one too', async () => {
    const disk = await onDisk('2m');
    await using _lab = disk.lab;
    await disk.closed.add('a');
    await mustRun(['mount', '-o', 'remount,ro', disk.disk]);
    expect(await disk.store.fails('ADD', 'b')).toMatchObject({ code: 5, message: expect.stringMatching(/EROFS/) });
    await mustRun(['mount', '-o', 'remount,rw', disk.disk]);
    expect(await disk.closed.add('b')).toEqual(['10.5.0.2/24']);
  });
});
