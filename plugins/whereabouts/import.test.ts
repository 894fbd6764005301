import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { WrongUsage } from '../../lib/cli/options.ts';
import { temporaryFolder } from '../../lib/sys/testing/temporary.ts';
import { exportStore } from './export.ts';
import { importCommand } from './import-command.ts';
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
    const code = await importCommand.run(args, storeHost(), (line) => lines.push(line));
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
  '.owners': '10.0.0.2 c1 eth0\n',
  lock: '',
};

describe('braid ipam import', () => {
  it('takes over the addresses of the range, and prints what it did', async () => {
    using host = hostLocal({ ...FILES, notes: 'x', '10.0.0.4': '' });
    expect(await host.take('10.0.0.0/24')).toEqual({
      code: 0,
      lines: [
        'skipped "10.0.0.4": names no container',
        'skipped "fd00::5": not in range 10.0.0.0/24',
        'skipped "notes": not an address',
        'imported 2 addresses of range 10.0.0.0/24; 0 already there',
      ],
    });
    expect((await host.take('fd00::/64')).lines.at(-1)).toBe('imported 1 address of range fd00::/64; 0 already there');
    const ranges = rangesOf('10.0.0.0/24', 'fd00::/64');
    const store = storeIn(host.dataDir);
    expect(await reserved(store, 'a/new eth0 idN', ranges)).toEqual(['10.0.0.1', 'fd00::1']);
    expect(await reserved(store, 'a/next eth0 idO', ranges)).toEqual(['10.0.0.4', 'fd00::2']);
    expect((await store.find({ id: 'idA', ifname: 'eth0' }, ranges)).map((ip) => ip?.value)).toEqual([
      0x0a000002n,
      (0xfd00n << 112n) + 5n,
    ]);
    expect(await store.release({ id: 'idB', ifname: 'eth0' })).toHaveLength(1);
  });

  it('changes nothing the second time', async () => {
    using host = hostLocal(FILES);
    await host.take('10.0.0.0/24', '--network-name', 'blue');
    expect((await host.take('10.0.0.9/24', '--network-name', 'blue')).lines.at(-1)).toBe(
      'imported 0 addresses of range 10.0.0.0/24; 2 already there',
    );
    expect(await storeIn(host.dataDir).networks()).toEqual(['blue']);
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
    [{ 'fd00::7': 'idA', 'fd00:0::7': 'idB' }, 'cannot import fd00::7 of container idA: it is named twice'],
  ])('refuses an address with two owners: %o', async (files, message) => {
    using host = hostLocal({ '10.0.0.200': 'idZ', ...files } as Record<string, string>);
    await reserved(storeIn(host.dataDir), 'a/x net1 idX', rangesOf('10.0.0.0/16'));
    const range = message.includes('fd00') ? 'fd00::/64' : '10.0.0.0/24';
    await expect(host.take(range)).rejects.toThrow(message);
    expect(await storeIn(host.dataDir).release({ id: 'idZ', ifname: '' })).toEqual([]);
  });

  it('creates nothing when there is nothing to import', async () => {
    using host = hostLocal({ lock: '' });
    expect(await host.take('10.0.0.0/24')).toEqual({ code: 0, lines: [`nothing to import from "${host.source}"`] });
    expect(existsSync(host.dataDir)).toBe(false);
  });

  it('names a folder that it cannot read', async () => {
    using host = hostLocal({});
    await expect(host.run('/missing', '--range', '10.0.0.0/24')).rejects.toThrow(
      'cannot read folder "/missing": ENOENT (no such file or directory)',
    );
  });

  it('prints JSON when asked to', async () => {
    using host = hostLocal({ ...FILES, notes: 'x' });
    const { lines } = await host.take('fd00::/64', '--json');
    expect(JSON.parse(lines.join('\n'))).toEqual({
      range: 'fd00::/64',
      added: 1,
      present: 0,
      skipped: [
        { file: '10.0.0.2', reason: 'not in range fd00::/64' },
        { file: '10.0.0.3', reason: 'not in range fd00::/64' },
        { file: 'notes', reason: 'not an address' },
      ],
    });
  });

  it('documents every option that it takes', () => {
    const documented = importCommand.options?.map(([option]) => option.split(' ')[0]);
    expect(documented).toEqual([
      'FOLDER',
      'FILE',
      '--range',
      '--network-name',
      '--reservations',
      '--nv-ipam',
      '--data-dir',
      '--kubeconfig',
      '--in-cluster',
      '--namespace',
      '--json',
    ]);
  });

  it.each([
    [[], "expected the folder of host-local's network"],
    [['a', 'b', '--range', '10.0.0.0/8'], 'unexpected argument "b"'],
    [['a'], 'expected --range'],
    [['a', '--range', ''], 'cannot use --range "": it is not a CIDR'],
    [['a', '--range', '10.0.0.0'], 'cannot use --range "10.0.0.0": it is not a CIDR'],
    [['a', '--range', '10.0.0.0/8', '--data-dir', 'x'], 'cannot use "ipam.data_dir" "x": it is not an absolute path'],
    [['a', '--range', '10.0.0.0/8', '--network-name', '../x'], 'cannot use "ipam.network_name" "../x"'],
    [['a', '--what'], 'unknown option "--what"'],
  ])('refuses %o as wrong usage', async (args, fragment) => {
    using host = hostLocal({});
    await expect(host.run(...args)).rejects.toThrow(new RegExp(fragment.replaceAll(/[.?]/g, '\\$&')));
    await expect(host.run(...args)).rejects.toBeInstanceOf(WrongUsage);
  });
});

describe('braid ipam export', () => {
  const exported = async (dataDir: string): Promise<string> => {
    const lines: string[] = [];
    using host = storeHost();
    expect(await exportStore(['--data-dir', dataDir], host, (line) => lines.push(line))).toBe(0);
    return lines.join('\n');
  };

  it('prints what an import takes in: the same reservations, also those that overlap', async () => {
    using host = hostLocal({});
    const ranges = rangesOf('10.0.0.0/24', 'fd00::/64');
    await reserved(storeIn(host.dataDir), 'a/a net1 idA', ranges);
    await reserved(storeIn(host.dataDir), '- net2 idB', rangesOf('10.0.0.0/16'), false);
    await reserved(storeIn(host.dataDir, storeHost(), 'blue'), 'a/c net1 idC', ranges);
    const text = await exported(host.dataDir);
    expect(JSON.parse(text)).toMatchObject({
      format: 1,
      networks: [
        {
          networkName: '',
          pools: [
            { range: '10.0.0.0/16', reservations: [{ address: '10.0.0.1', containerId: 'idB' }] },
            {
              range: '10.0.0.0/24',
              reservations: [
                { address: '10.0.0.1', containerId: 'idA', interface: 'net1', pod: 'a/a', network: 'net-a' },
              ],
            },
            { range: 'fd00::/64' },
          ],
        },
        { networkName: 'blue' },
      ],
    });
    const [file, copy] = [join(host.source, 'export.json'), join(host.source, 'copy')];
    writeFileSync(file, text);
    expect((await host.run(file, '--data-dir', copy)).lines).toEqual([
      'imported 3 addresses of ranges without a network name; 0 already there',
      'imported 2 addresses of network "blue"; 0 already there',
    ]);
    expect(await exported(copy)).toBe(text);
    expect((await host.run(file, '--data-dir', copy)).lines[0]).toContain('imported 0 addresses');
    expect(JSON.parse(await exported(join(host.source, 'none')))).toEqual({ format: 1, networks: [] });
  });

  it.each([
    ['x', 'JSON'],
    ['{"format":2,"networks":[]}', 'format'],
    [
      '{"format":1,"networks":[{"networkName":"","pools":[{"range":"10.0.0.1/24","reservations":[{"address":"10.0.0.1","containerId":"a","interface":"","pod":"","network":""}]}]}]}',
      '"10.0.0.1/24" is not a range in canonical form',
    ],
    [
      '{"format":1,"networks":[{"networkName":"","pools":[{"range":"10.0.0.0/24","reservations":[{"address":"10.0.1.1","containerId":"a","interface":"","pod":"","network":""}]}]}]}',
      '"10.0.1.1" is not an address of range 10.0.0.0/24',
    ],
  ])('takes in nothing that is no export: %s', async (text, why) => {
    using host = hostLocal({});
    const file = join(host.source, 'export.json');
    writeFileSync(file, text);
    await expect(host.run(file, '--data-dir', host.dataDir)).rejects.toThrow(why);
    await expect(host.run(file, '--range', '10.0.0.0/24')).rejects.toBeInstanceOf(WrongUsage);
    expect(existsSync(host.dataDir)).toBe(false);
  });
});
