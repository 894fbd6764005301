import { existsSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { NodeRecord } from '../../lib/cli/node.ts';
import type { Container } from '../../lib/cli/scan.ts';
import { formatIp } from '../../lib/net/ip.ts';
import { openDatabase } from '../../lib/sys/database.ts';
import { temporaryFolder } from '../../lib/sys/testing/temporary.ts';
import { databasesIn } from './embedded/place.ts';
import { damageOf, repairStore } from './repair.ts';
import { rangesOf, reserved, storeHost, storeIn } from './testing/fixtures.ts';

const FOUR = rangesOf('10.0.0.0/24');

/** A pod's record that says which addresses it was given by which configuration. */
function container(id: string, address: string, dataDir: string, state: Container['state'] = 'live'): Container {
  const ipam = { type: 'whereabouts', datastore: 'file', data_dir: dataDir, range: '10.0.0.0/24' };
  const record: NodeRecord = {
    plugin: 'multus',
    containerId: id,
    ifName: 'net1',
    network: 'net-a',
    pod: `a/${id}`,
    netns: '',
    addresses: [`${address}/24`],
    device: '',
    sinceMs: undefined,
    place: '',
    list: { name: 'net-a', plugins: [{ type: 'macvlan', ipam }] },
    release: {},
  };
  return { containerId: id, records: [record], state, reason: '' };
}

/** A store of ten pods, left as a process leaves it that is killed. */
async function tenPods(dataDir: string) {
  for (let i = 0; i < 10; i++) {
    await reserved(storeIn(dataDir), `a/id${i} net1 id${i}`, FOUR);
  }
  return databasesIn(dataDir)[0] ?? '';
}

async function repaired(dataDir: string, containers: readonly Container[]) {
  using host = storeHost();
  const damage = await damageOf(dataDir, host);
  expect(damage).toMatch(/^cannot trust the store/);
  const rebuilt = await repairStore(dataDir, damage ?? '', containers, host);
  expect(await damageOf(dataDir, host)).toBeUndefined();
  const held = (await storeIn(dataDir, host).pools()).flatMap((pool) => pool.held);
  return { rebuilt, held: held.map(({ ip, entry }) => `${formatIp(ip)} ${entry.id}`) };
}

describe('the repair of a damaged store', () => {
  it('finds nothing wrong with a sound one', async () => {
    using folder = temporaryFolder(true);
    using host = storeHost();
    expect(await damageOf(folder.path, host)).toBeUndefined();
    await tenPods(folder.path);
    expect(await damageOf(folder.path, host)).toBeUndefined();
  });

  it('keeps what can be read, adds what living pods have, and drops what is dead', async () => {
    using folder = temporaryFolder(true);
    const database = await tenPods(folder.path);
    rmSync(`${database}-wal`); // with all ten in it
    rmSync(`${database}-shm`);
    const containers = [
      container('id3', '10.0.0.4', folder.path),
      container('id8', '10.0.0.9', folder.path, 'in-use'),
      container('id9', '10.0.0.10', folder.path, 'dead'),
    ];
    const { rebuilt, held } = await repaired(folder.path, containers);
    expect(held).toEqual(['10.0.0.4 id3', '10.0.0.9 id8']);
    expect(rebuilt).toMatchObject({ reservations: 2, proved: 2, unproved: [], lost: 0 });
    expect(existsSync(`${database}.damaged`)).toBe(true);
    expect(await reserved(storeIn(folder.path), 'a/id3 net1 id3', FOUR)).toEqual(['10.0.0.4']);
    expect(await reserved(storeIn(folder.path), 'a/new net1 new', FOUR)).toEqual(['10.0.0.1']);
  });

  it('says what nothing but the damaged store tells of', async () => {
    using folder = temporaryFolder(true);
    const database = await tenPods(folder.path);
    const tampering = await openDatabase(database);
    tampering.exec("UPDATE reservation SET pod = 'a/else' WHERE container = 'id2'");
    tampering.close();
    const { rebuilt, held } = await repaired(folder.path, [
      container('id2', '10.0.0.3', folder.path),
      container('id5', '10.0.0.6', folder.path),
      container('id7', '10.0.0.8', folder.path, 'dead'),
    ]);
    expect(held).toHaveLength(9);
    expect(held).toContain('10.0.0.3 id2');
    expect(held).not.toContain('10.0.0.8 id7');
    expect(rebuilt).toMatchObject({ reservations: 9, proved: 2, lost: 1 });
    expect(rebuilt.unproved).toContain('10.0.0.1 of a/id0 net1');
  });

  it('lets a living pod be right where an old database says something else', async () => {
    using folder = temporaryFolder(true);
    const database = await tenPods(folder.path);
    truncateSync(`${database}-wal`, 32 + 4120 * 30); // some of the ten are left
    const { held } = await repaired(folder.path, [container('other', '10.0.0.1', folder.path)]);
    expect(held).toContain('10.0.0.1 other');
    expect(held.filter((text) => text.startsWith('10.0.0.1 '))).toHaveLength(1);
  });

  it('makes a store of the records alone when nothing can be read', async () => {
    using folder = temporaryFolder(true);
    const database = await tenPods(folder.path);
    writeFileSync(database, 'x'.repeat(8192));
    rmSync(`${database}-wal`);
    const { held } = await repaired(folder.path, [container('id3', '10.0.0.4', folder.path)]);
    expect(held).toEqual(['10.0.0.4 id3']);
  });

  it('does not lose what a call writes that waited for the lock meanwhile', async () => {
    using folder = temporaryFolder(true);
    const database = await tenPods(folder.path);
    writeFileSync(`${folder.path}/sequence`, 'x');
    using host = storeHost();
    expect(await damageOf(folder.path, host)).toMatch(/sequence": it does not match its checksum/);
    const [rebuilt, ...given] = await Promise.all([
      repairStore(folder.path, '', [], host),
      ...Array.from({ length: 20 }, async (_, i) => {
        await new Promise((resolve) => setTimeout(resolve, i));
        using other = storeHost();
        return await reserved(storeIn(folder.path, other), `a/new${i} net1 new${i}`, FOUR).catch(() => []);
      }),
    ]);
    expect(rebuilt.reservations).toBe(10);
    const all = (await storeIn(folder.path, host).pools()).flatMap((pool) => pool.held.map(({ ip }) => formatIp(ip)));
    expect(all.toSorted()).toEqual([...new Set([...all, ...given.flat()])].toSorted());
    expect(all).toHaveLength(10 + given.flat().length);
    expect(existsSync(`${database}.damaged`)).toBe(true);
  });
});
