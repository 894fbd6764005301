import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Host } from '../../lib/cni/plugin.ts';
import { temporaryFolder } from '../../lib/sys/testing/temporary.ts';
import { importCommand } from './import.ts';
import { rangesOf, reserved, storeHost, storeIn } from './testing/fixtures.ts';

/** A host-local folder of these files, and the command on it. */
function hostLocal(files: Readonly<Record<string, string>>) {
  const folder = temporaryFolder();
  const [source, dataDir] = [join(folder.path, 'net-a'), join(folder.path, 'data')];
  mkdirSync(source);
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(source, name), content);
  }
  const run = async (...args: readonly string[]) => {
    const lines: string[] = [];
    const code = await importCommand.run(args, storeHost() as unknown as Host, (line) => lines.push(line));
    return { code, lines };
  };
  const take = (range: string, ...more: readonly string[]) =>
    run(source, '--range', range, '--data-dir', dataDir, ...more);
  return { source, dataDir, run, take, [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

const FILES = {
  '10.0.0.2': 'idA\r\neth0',
  '10.0.0.3': 'idB',
  'fd00::5': 'idA\r\neth0',
  'last_reserved_ip.0': '10.0.0.3',
  lock: '',
};

describe('braid ipam import', () => {
  it('takes over the addresses of the range, and prints what it did', async () => {
    using host = hostLocal({ ...FILES, notes: 'x', '10.0.0.4': '' });
    expect(await host.take('10.0.0.0/24')).toEqual({
      code: 0,
      lines: [
        'skipped 10.0.0.4: its file names no container',
        'skipped fd00::5: it is not in range 10.0.0.0/24',
        'skipped "notes": it is not an address',
        'imported 2 addresses of range 10.0.0.0/24; 0 were there already',
      ],
    });
    expect((await host.take('fd00::/64')).lines.at(-1)).toBe(
      'imported 1 addresses of range fd00::/64; 0 were there already',
    );
    const ranges = rangesOf('10.0.0.0/24', 'fd00::/64');
    const store = storeIn(host.dataDir);
    expect(await reserved(store, 'a/new eth0 idN', ranges)).toEqual(['10.0.0.1', 'fd00::1']);
    expect(await reserved(store, 'a/next eth0 idO', ranges)).toEqual(['10.0.0.4', 'fd00::2']);
    expect((await store.find({ id: 'idA', ifname: 'eth0' }, ranges)).map((ip) => ip?.value)).toEqual([
      0x0a000002n,
      (0xfd00n << 112n) + 5n,
    ]);
    expect((await store.release([{ id: 'idB', ifname: 'eth0' }])).flat()).toHaveLength(1);
  });

  it('changes nothing the second time', async () => {
    using host = hostLocal(FILES);
    await host.take('10.0.0.0/24', '--network-name', 'blue');
    expect((await host.take('10.0.0.9/24', '--network-name', 'blue')).lines.at(-1)).toBe(
      'imported 0 addresses of range 10.0.0.0/24; 2 were there already',
    );
    expect(readdirSync(host.dataDir)).toEqual(['blue']);
  });

  it('lets the collection of the network free them, since the folder bears its name', async () => {
    using host = hostLocal(FILES);
    await host.take('10.0.0.0/24');
    const freed = await storeIn(host.dataDir).collect('net-a', rangesOf('10.0.0.0/24'), [
      { id: 'idB', ifname: 'eth0' },
    ]);
    expect(freed).toHaveLength(1);
  });

  it.each([
    [{ '10.0.0.1': 'idA\neth0' }, 'cannot import 10.0.0.1 of container idA: container idX net1 holds it'],
    [{ 'fd00::7': 'idA', 'fd00:0::7': 'idB' }, 'cannot import fd00::7 of container idA: there are two files for it'],
  ])('refuses an address with two owners: %o', async (files, message) => {
    using host = hostLocal({ '10.0.0.200': 'idZ', ...files } as Record<string, string>);
    await reserved(storeIn(host.dataDir), 'a/x net1 idX', rangesOf('10.0.0.0/16'));
    const range = message.includes('fd00') ? 'fd00::/64' : '10.0.0.0/24';
    expect(await host.take(range)).toEqual({ code: 1, lines: expect.arrayContaining([message]) });
    expect(await storeIn(host.dataDir).release([{ id: 'idZ', ifname: '' }])).toEqual([[]]);
  });

  it('creates nothing when there is nothing to import', async () => {
    using host = hostLocal({ lock: '' });
    expect(await host.take('10.0.0.0/24')).toEqual({ code: 0, lines: [`nothing to import from "${host.source}"`] });
    expect(existsSync(host.dataDir)).toBe(false);
  });

  it('names a folder that it cannot read', async () => {
    using host = hostLocal({});
    expect(await host.run('/missing', '--range', '10.0.0.0/24')).toEqual({
      code: 1,
      lines: ['cannot read folder "/missing": ENOENT (no such file or directory)'],
    });
  });

  it.each([
    [[], 'name one folder'],
    [['a', 'b', '--range', '10.0.0.0/8'], 'name one folder'],
    [['a'], '--range "" is not a CIDR'],
    [['a', '--range', '10.0.0.0'], '--range "10.0.0.0" is not a CIDR'],
    [['a', '--range', '10.0.0.0/8', '--data-dir', 'x'], 'cannot use "ipam.data_dir" "x": it is not an absolute path'],
    [['a', '--range', '10.0.0.0/8', '--network-name', '../x'], 'cannot use "ipam.network_name" "../x"'],
    [['a', '--what'], "Unknown option '--what'"],
  ])('explains itself for %o', async (args, fragment) => {
    using host = hostLocal({});
    const { code, lines } = await host.run(...args);
    expect(code).toBe(2);
    expect(lines[0]).toContain(fragment);
    expect(lines[0]).toContain('usage: braid ipam import');
  });
});
