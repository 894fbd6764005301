import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../../lib/sys/testing/temporary.ts';
import { rangesOf, reserved, storeHost, storeIn } from '../testing/fixtures.ts';
import { OtherProcess } from '../testing/other-process.ts';
import { databasesIn } from './place.ts';

const RANGES = rangesOf('10.0.0.0/16');

const given = (...addresses: readonly string[]) => ({ addresses });

/** A call of this process. */
const add = async (folder: string, id: string) => {
  using host = storeHost();
  return await reserved(storeIn(folder, host), `a/${id} net1 ${id}`, RANGES);
};

const heldIn = async (folder: string): Promise<readonly string[]> => {
  using host = storeHost();
  const pools = await storeIn(folder, host).pools();
  return pools.flatMap((pool) => pool.held.map(({ entry }) => entry.id));
};

const processes = (count: number, folder: string) => {
  const all = Array.from({ length: count }, () => new OtherProcess(folder));
  const end = () => {
    for (const one of all) {
      one[Symbol.dispose]();
    }
  };
  return Object.assign(all, { [Symbol.dispose]: end });
};

describe('processes that have the same store open', () => {
  it('make it together when it is not there yet', async () => {
    using folder = temporaryFolder(true);
    using all = processes(5, folder.path);
    for (let round = 0; round < 12; round++) {
      const path = join(folder.path, `store-${round}`);
      await Promise.all(all.map((one) => one.ask('go', path)));
      const answers = await Promise.all(all.map((one, index) => one.ask('add', `c${index}`)));
      expect(answers.map(({ addresses = [] }) => addresses[0]).toSorted()).toEqual(
        [1, 2, 3, 4, 5].map((last) => `10.0.0.${last}`),
      );
      expect(databasesIn(path)).toHaveLength(1);
      expect(readdirSync(path).filter((name) => name.endsWith('.tmp'))).toEqual([]);
      expect(['kept-space.1', 'kept-space.2'].map((name) => statSync(join(path, name)).size)).toEqual([131072, 131072]);
    }
  });

  it('get their turn while another never stops', async () => {
    using folder = temporaryFolder(true);
    using busy = new OtherProcess(folder.path);
    using other = new OtherProcess(folder.path);
    const churning = busy.ask('churn', 'x', 256, 3000);
    for (let i = 0; i < 20; i++) {
      expect(await other.ask('add', `c${i}`)).toMatchObject({ addresses: [expect.any(String)] });
    }
    expect((await churning).count).toBeGreaterThan(1);
    expect(await heldIn(folder.path)).toHaveLength(20);
  });

  it('wait 10 s for one that holds the lock, then say so with code 11; killed, it holds nobody up', async () => {
    using folder = temporaryFolder(true);
    using other = new OtherProcess(folder.path);
    await add(folder.path, 'a');
    await other.ask('sql', 'BEGIN IMMEDIATE');
    await expect(add(folder.path, 'b')).rejects.toMatchObject({
      code: 11,
      message: `cannot lock the store in "${folder.path}": others have held it for 10000 ms`,
    });
    expect(await heldIn(folder.path)).toEqual(['a']); // looking waits for nobody
    const ended = other.kill();
    await ended;
    expect(await add(folder.path, 'b')).toEqual(['10.0.0.2']);
  });

  it.each([
    { what: 'their turn', turns: 4, expected: '10.0.0.5' },
    { what: 'a minute', turns: Number.POSITIVE_INFINITY, expected: 'others have held it for 60000 ms' },
  ])('wait for $what while others come to an end, however slow the disk is', async ({ turns, expected }) => {
    using folder = temporaryFolder(true);
    using holder = new OtherProcess(folder.path);
    using other = new OtherProcess(folder.path);
    await add(folder.path, 'a');
    await holder.ask('sql', 'BEGIN IMMEDIATE');
    let [elapsedMs, turn] = [0, 0];
    using host = storeHost(undefined, async (ms) => {
      elapsedMs += ms;
      if (elapsedMs > (turn + 1) * 9000) {
        turn++;
        await holder.ask('sql', 'COMMIT');
        await (turn < turns && other.ask('add', `c${turn}`));
        await (turn < turns && holder.ask('sql', 'BEGIN IMMEDIATE'));
      }
    });
    const answer = reserved(storeIn(folder.path, host), 'a/b net1 b', RANGES);
    expect(String(await answer.catch(({ message }: Error) => message))).toContain(expected);
    expect(elapsedMs).toBeGreaterThan(30_000);
  });

  it('do not wait for one that reads for long, and its log is short again afterwards', async () => {
    using folder = temporaryFolder(true);
    using other = new OtherProcess(folder.path);
    await add(folder.path, 'a');
    await other.ask('sql', 'BEGIN; SELECT * FROM reservation');
    const sizeOfLog = () => statSync(`${databasesIn(folder.path)[0]}-wal`).size;
    using host = storeHost();
    const store = storeIn(folder.path, host);
    for (let i = 0; i < 80; i++) {
      await reserved(store, `a/c${i} net1 c${i}`, RANGES);
    }
    expect(sizeOfLog()).toBeGreaterThan(600 * 1024);
    await other.ask('sql', 'COMMIT');
    for (let i = 0; i < 80; i++) {
      await store.release({ id: `c${i}`, ifname: 'net1' });
    }
    expect(sizeOfLog()).toBeLessThan(600 * 1024);
    expect(await heldIn(folder.path)).toEqual(['a']);
  });

  it('write into none of its files that are deleted, and begin anew with the folder', async () => {
    using folder = temporaryFolder(true);
    const path = join(folder.path, 'store');
    using other = new OtherProcess(path);
    expect(await other.ask('add', 'a')).toEqual(given('10.0.0.1'));
    rmSync(path, { recursive: true });
    expect(await other.ask('del', 'a')).toEqual({ count: 0 });
    expect(existsSync(path)).toBe(false);
    expect(await other.ask('add', 'b')).toEqual(given('10.0.0.1'));
    expect(await add(path, 'c')).toEqual(['10.0.0.2']);
    rmSync(path, { recursive: true });
    expect(await add(path, 'd')).toEqual(['10.0.0.1']); // made by another process
    expect(await other.ask('add', 'e')).toEqual(given('10.0.0.2'));
    expect(await heldIn(path)).toEqual(['d', 'e']);
  });

  it('follow the path of the folder, wherever it leads', async () => {
    using folder = temporaryFolder(true);
    const [one, two, link] = ['one', 'two', 'link'].map((name) => join(folder.path, name)) as [string, string, string];
    mkdirSync(one);
    symlinkSync(one, link);
    using other = new OtherProcess(link);
    using host = storeHost(); // of which the store has two names
    expect(await other.ask('add', 'a')).toEqual(given('10.0.0.1'));
    const both = [one, link].map((path) => storeIn(path, host));
    const some = Array.from({ length: 40 }, (_, i) => reserved(both[i % 2], `a/c${i} net1 c${i}`, RANGES));
    const more = Array.from({ length: 10 }, (_, i) => other.ask('add', `d${i}`));
    const addresses = [...(await Promise.all(some)), ...(await Promise.all(more)).map((answer) => answer.addresses)];
    expect(new Set(addresses.flat()).size).toBe(50);
    renameSync(one, two);
    expect(await other.ask('del', 'a')).toEqual({ count: 0 }); // the link leads nowhere
    rmSync(link);
    symlinkSync(two, link);
    expect(await other.ask('del', 'a')).toEqual({ count: 1 });
    expect(await heldIn(two)).toHaveLength(50);
  });

  it('notice when a copy has been put in the place of the folder', async () => {
    using folder = temporaryFolder(true);
    const [path, copy] = [join(folder.path, 'store'), join(folder.path, 'copy')];
    using other = new OtherProcess(path);
    await other.ask('add', 'a');
    cpSync(path, copy, { recursive: true });
    rmSync(path, { recursive: true });
    renameSync(copy, path);
    expect(await other.ask('add', 'b')).toEqual(given('10.0.0.2'));
    expect(await heldIn(path)).toEqual(['a', 'b']);
  });

  it('share no lock once the index of the log is deleted: one that has it open must be started anew', async () => {
    using folder = temporaryFolder(true);
    using other = new OtherProcess(folder.path);
    await other.ask('add', 'a');
    rmSync(`${databasesIn(folder.path)[0]}-shm`);
    expect(await other.ask('add', 'b')).toEqual({
      error: { code: 5, message: expect.stringMatching(/index "-shm" was deleted .*: restart the process$/) },
    });
    expect(await add(folder.path, 'c')).toEqual(['10.0.0.2']);
    expect(await other.ask('add', 'd')).toMatchObject({ error: { code: 5 } });
    expect(await other.ask('del', 'a')).toMatchObject({ error: { code: 5 } });
    using another = new OtherProcess(folder.path);
    expect(await another.ask('add', 'd')).toEqual(given('10.0.0.3'));
    expect(await heldIn(folder.path)).toEqual(['a', 'c', 'd']);
  });
});
