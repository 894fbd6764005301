import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import type { Verb } from '../../lib/cni/call.ts';
import { type FakeNode, fakeNode } from '../../lib/cni/testing/fake-node.ts';
import { openDatabase } from '../../lib/sys/database.ts';
import type { Env } from '../../lib/sys/execute.ts';
import { openDatastore } from './datastore.ts';
import { databasesIn } from './embedded/place.ts';
import { whereabouts } from './plugin.ts';

/** A node with a store, and a way to call the plugin as a runtime does. */
function nodeWithStore() {
  const node = fakeNode();
  const dataDir = join(node.cniDir, 'whereabouts');
  const call = async (verb: Verb, ipam: object, { version = '1.0.0', env = {}, top = {} }: CallExtra = {}) => {
    const keys = { type: 'whereabouts', datastore: 'file', data_dir: dataDir, ...ipam };
    const document = { cniVersion: version, name: 'net-a', type: 'macvlan', ipam: keys, ...top };
    const { stdout, exitCode } = await node.run(whereabouts as never, verb, document, env);
    return stdout === '' ? { exitCode } : { exitCode, ...JSON.parse(stdout) };
  };
  return { node, dataDir, call, [Symbol.dispose]: () => node[Symbol.dispose]() };
}

interface CallExtra {
  readonly version?: string;
  readonly env?: Env;
  readonly top?: object;
}

const FOUR = { range: '10.0.0.0/24' };
const BOTH = { ipRanges: [{ range: '10.0.0.0/24' }, { range: 'fd00::/64' }] };
const attachment = (id: string, ifname = 'eth0') => ({ CNI_CONTAINERID: id, CNI_IFNAME: ifname });
const pod = (name: string) => ({ CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=lab;K8S_POD_NAME=${name}` });

const isEmpty = (node: FakeNode): boolean => !existsSync(node.cniDir);

describe('ADD', () => {
  it('answers dynamic addresses in range order, then static ones, gateway by family, routes and dns verbatim', async () => {
    using plugin = nodeWithStore();
    const ipam = {
      ...BOTH,
      gateway: '10.0.0.254',
      addresses: [{ address: '192.0.2.5/24', gateway: '192.0.2.1' }],
      routes: [{ dst: '0.0.0.0/0', gw: '10.0.0.254' }, { dst: '10.9.0.7/16' }],
      dns: { nameservers: ['10.0.0.53'], search: ['lab'] },
    };
    expect(await plugin.call('ADD', ipam)).toEqual({
      exitCode: 0,
      cniVersion: '1.0.0',
      ips: [
        { address: '10.0.0.1/24', gateway: '10.0.0.254' },
        { address: 'fd00::1/64' },
        { address: '192.0.2.5/24', gateway: '192.0.2.1' },
      ],
      routes: [{ dst: '0.0.0.0/0', gw: '10.0.0.254' }, { dst: '10.9.0.7/16' }],
      dns: { nameservers: ['10.0.0.53'], search: ['lab'] },
    });
  });

  it('tells how long it waited for the store, and how long that took', async () => {
    using plugin = nodeWithStore();
    await plugin.call('ADD', BOTH);
    expect(plugin.node.spans).toEqual(['store transaction', 'store', 'whereabouts ADD']);
  });

  it.each(['0.3.1', '0.4.0'])('answers in the version of the configuration: %s', async (version) => {
    using plugin = nodeWithStore();
    expect((await plugin.call('ADD', BOTH, { version })).ips).toEqual([
      { version: '4', address: '10.0.0.1/24' },
      { version: '6', address: 'fd00::1/64' },
    ]);
  });

  it('answers the first address of each family to 0.2.0', async () => {
    using plugin = nodeWithStore();
    expect(await plugin.call('ADD', { ...BOTH, gateway: 'fd00::ff' }, { version: '0.2.0' })).toMatchObject({
      ip4: { ip: '10.0.0.1/24' },
      ip6: { ip: 'fd00::1/64', gateway: 'fd00::ff' },
    });
  });

  it('answers static addresses alone without touching the store', async () => {
    using plugin = nodeWithStore();
    const env = { CNI_ARGS: 'IP=10.0.0.9/24;GATEWAY=10.0.0.1' };
    expect((await plugin.call('ADD', {}, { env })).ips).toEqual([{ address: '10.0.0.9/24', gateway: '10.0.0.1' }]);
    expect(isEmpty(plugin.node)).toBe(true);
  });

  it('gives a pod the same address again, whatever its container is', async () => {
    using plugin = nodeWithStore();
    const add = (id: string, name: string) => plugin.call('ADD', FOUR, { env: { ...attachment(id), ...pod(name) } });
    expect([(await add('A', 'db-0')).ips, (await add('B', 'db-1')).ips, (await add('C', 'db-0')).ips]).toEqual([
      [{ address: '10.0.0.1/24' }],
      [{ address: '10.0.0.2/24' }],
      [{ address: '10.0.0.1/24' }],
    ]);
    expect(await plugin.call('DEL', FOUR, { env: attachment('A') })).toEqual({ exitCode: 0 });
    expect((await add('D', 'db-2')).ips).toEqual([{ address: '10.0.0.3/24' }]);
  });

  it('keeps networks apart', async () => {
    using plugin = nodeWithStore();
    await plugin.call('ADD', { ...FOUR, network_name: 'blue' }, { env: attachment('A') });
    expect((await plugin.call('ADD', { ...FOUR, network_name: 'red' }, { env: attachment('B') })).ips).toEqual([
      { address: '10.0.0.1/24' },
    ]);
    await plugin.call('ADD', FOUR, { env: attachment('C') });
    expect(
      await openDatastore({ kind: 'file', dataDir: plugin.dataDir, networkName: '' }, plugin.node.scope).networks(),
    ).toEqual(['', 'blue', 'red']);
  });

  it('says which range is exhausted, with the words that others look for', async () => {
    using plugin = nodeWithStore();
    const tiny = { range: '198.51.100.0/30', exclude: ['198.51.100.2'] };
    await plugin.call('ADD', tiny, { env: attachment('A') });
    expect(await plugin.call('ADD', tiny, { env: attachment('B') })).toEqual({
      exitCode: 1,
      code: 999,
      msg:
        'error at storage engine: Could not allocate IP in range: ip: 198.51.100.1 / - 198.51.100.2 / ' +
        'range: 198.51.100.0/30 / excludeRanges: [198.51.100.2]: held by container A eth0; ' +
        '"braid ipam show 198.51.100.0/30 --json" lists them, "braid ipam check" finds leaks',
    });
  });

  it('says when the lock stays taken', async () => {
    using plugin = nodeWithStore();
    let now = 0;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => {
      now += 900;
      return now;
    });
    await plugin.call('ADD', FOUR, { env: attachment('A') });
    const other = await openDatabase(databasesIn(plugin.dataDir)[0] ?? '');
    other.exec('BEGIN IMMEDIATE');
    expect(await plugin.call('ADD', FOUR)).toEqual({
      exitCode: 1,
      code: 11,
      msg: `error at storage engine: cannot lock the store in "${plugin.dataDir}": others have held it for 10000 ms`,
    });
    expect(plugin.node.slept.length).toBeGreaterThan(5);
    other.exec('ROLLBACK');
    other.close();
    clock.mockRestore();
  });

  it('names path and cause when the folder cannot be made', async () => {
    using plugin = nodeWithStore();
    writeFileSync(join(plugin.node.binDir, 'file'), '');
    const dataDir = join(plugin.node.binDir, 'file');
    expect(await plugin.call('ADD', { ...FOUR, data_dir: dataDir })).toEqual({
      exitCode: 1,
      code: 5,
      msg: `error at storage engine: cannot keep space in "${dataDir}/kept-space.1": ENOTDIR (not a directory)`,
    });
  });

  it.each([
    [{ range: 'x' }, 7],
    [{ ...FOUR, exclude: ['x'] }, 7],
    [{ ...FOUR, kubernetes: { kubeconfig: '/k' } }, 7],
    [{ ...FOUR, datastore: 'kubernetes', kubernetes: { kubeconfig: '/k' } }, 4],
    [{ ...FOUR, addresses: [{ address: 'x' }] }, 7],
    [{ ...FOUR, network_name: 'a/b' }, 7],
  ])('changes nothing on disk for %o', async (ipam, code) => {
    using plugin = nodeWithStore();
    expect(await plugin.call('ADD', ipam)).toMatchObject({ exitCode: 1, code });
    expect(isEmpty(plugin.node)).toBe(true);
  });

  it('writes what it did to a file, and only what is wrong to stderr', async () => {
    using plugin = nodeWithStore();
    const file = join(plugin.node.binDir, 'log');
    await plugin.call('ADD', { ...FOUR, log_file: file, range_start: '10.0.0.0' });
    await plugin.call('ADD', { ...FOUR, log_file: file, exclude: ['10.0.0.0/24'] }, { env: attachment('B') });
    expect(plugin.node.stderr).toEqual(['start 10.0.0.0 is ignored: it is not within what range 10.0.0.0/24 can give']);
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    expect(lines.map((line) => line.replace(/^\S+Z /, ''))).toEqual([
      ...plugin.node.stderr,
      'reserved [10.0.0.1] for container C1 eth0',
      expect.stringContaining('error at storage engine: Could not allocate'),
    ]);
  });
});

describe('a configuration with nothing to give', () => {
  const nothing =
    'cannot use "ipam.range" "": there is no address to give: "range", "ipRanges" and "addresses" are empty, and ' +
    'CNI_ARGS have no IP';
  const hostLocal = (key: string, meant: string) => `; "${key}" is a key of host-local: write "${meant}"`;
  it.each([
    [{}, nothing],
    [{ range: '' }, nothing],
    [{ range: null, ipRanges: [], addresses: [] }, nothing],
    [{ subnet: '10.0.0.0/24' }, nothing + hostLocal('subnet', 'range')],
    [
      { Subnet: '10.0.0.0/24', rangeStart: '10.0.0.9', rangeEnd: '10.0.0.20' },
      nothing +
        hostLocal('Subnet', 'range') +
        hostLocal('rangeStart', 'range_start') +
        hostLocal('rangeEnd', 'range_end'),
    ],
    [{ ranges: [[{ subnet: '10.0.0.0/24' }]] }, nothing + hostLocal('ranges', 'ipRanges')],
  ])('is refused by ADD and CHECK: %j', async (ipam, msg) => {
    using plugin = nodeWithStore();
    expect(await plugin.call('ADD', ipam)).toEqual({ exitCode: 1, code: 7, msg });
    expect(await plugin.call('CHECK', ipam)).toEqual({ exitCode: 1, code: 7, msg });
    expect(isEmpty(plugin.node)).toBe(true);
  });

  it.each([
    [{}, 0],
    [{ subnet: '10.0.0.0/24' }, 1],
  ])('may be meant for addresses in CNI_ARGS, which STATUS and GC have not: %j', async (ipam, exitCode) => {
    using plugin = nodeWithStore();
    const top = { 'cni.dev/valid-attachments': [] };
    expect(await plugin.call('STATUS', ipam, { version: '1.1.0' })).toMatchObject({ exitCode });
    expect(await plugin.call('GC', ipam, { version: '1.1.0', top })).toMatchObject({ exitCode });
    expect(await plugin.call('ADD', ipam, { env: { CNI_ARGS: 'IP=10.0.0.9/24' } })).toMatchObject({ exitCode: 0 });
    expect(await plugin.call('DEL', ipam)).toEqual({ exitCode: 0 });
  });
});

describe('addresses that CNI_ARGS ask for', () => {
  const POOL = { ...BOTH, ip_request_mode: 'pool', gateway: '10.0.0.254' };
  const asking = (id: string, ip: string) => ({
    env: { ...attachment(id), CNI_ARGS: `IP=${ip};GATEWAY=10.0.0.253;K8S_POD_NAMESPACE=lab;K8S_POD_NAME=${id}` },
  });

  it('are reserved in their range, given again, refused to others, and released', async () => {
    using plugin = nodeWithStore();
    const ips = [{ address: '10.0.0.7/24', gateway: '10.0.0.253' }, { address: 'fd00::1/64' }];
    expect((await plugin.call('ADD', POOL, asking('a', '10.0.0.7/16'))).ips).toEqual(ips);
    expect((await plugin.call('ADD', POOL, asking('a', '10.0.0.7'))).ips).toEqual(ips);
    expect(await plugin.call('ADD', POOL, asking('b', '10.0.0.7'))).toEqual({
      exitCode: 1,
      code: 999,
      msg: 'error at storage engine: cannot give 10.0.0.7, which IP of CNI_ARGS asks for: lab/a eth0 has it',
    });
    await plugin.call('DEL', POOL, asking('a', 'whatever'));
    expect((await plugin.call('ADD', POOL, asking('b', '10.0.0.7'))).ips).toEqual(ips);
    expect(plugin.node.stderr.filter((line) => !line.includes('gateway'))).toEqual([]);
  });

  it('are reserved when the runtime names them in the configuration, and CHECK finds them', async () => {
    using plugin = nodeWithStore();
    const top = { runtimeConfig: { ips: ['fd00::7/64'] }, args: { cni: { ips: ['10.0.0.9'] } } };
    const { exitCode, ...prevResult } = await plugin.call('ADD', POOL, { top });
    expect([exitCode, prevResult.ips]).toEqual([
      0,
      [{ address: '10.0.0.9/24', gateway: '10.0.0.254' }, { address: 'fd00::7/64' }],
    ]);
    expect(await plugin.call('CHECK', POOL, { top: { ...top, prevResult } })).toEqual({ exitCode: 0 });
  });

  it('are given as they are by default, and reserved nowhere', async () => {
    using plugin = nodeWithStore();
    const ips = [
      { address: '10.0.0.1/24' },
      { address: 'fd00::1/64' },
      { address: '10.0.0.7/24', gateway: '10.0.0.253' },
    ];
    const one = asking('a', '10.0.0.7/24');
    expect((await plugin.call('ADD', BOTH, { ...one, top: { runtimeConfig: { ips: ['fd00::7/64'] } } })).ips).toEqual(
      ips,
    );
    expect((await plugin.call('ADD', BOTH, asking('b', '10.0.0.7/24'))).ips?.[2]).toEqual(ips[2]);
  });
});

describe('keys that are off by default', () => {
  it('small_subnets uses both addresses of a rail', async () => {
    using plugin = nodeWithStore();
    const rail = { ipRanges: [{ range: '10.0.0.0/31' }, { range: 'fd00::/127' }], small_subnets: true };
    const add = async (id: string) => (await plugin.call('ADD', rail, { env: attachment(id) })).ips;
    expect(await add('a')).toEqual([{ address: '10.0.0.0/31' }, { address: 'fd00::/127' }]);
    expect(await add('b')).toEqual([{ address: '10.0.0.1/31' }, { address: 'fd00::1/127' }]);
    expect((await plugin.call('ADD', rail, { env: attachment('c') })).msg).toContain('Could not allocate IP in range');
    expect((await plugin.call('ADD', { range: '10.0.0.0/31' })).code).toBe(7);
    expect(plugin.node.stderr).toEqual([]);
  });

  it('reserve_gateway keeps the gateway from pods', async () => {
    using plugin = nodeWithStore();
    const ipam = { ...FOUR, gateway: '10.0.0.1', reserve_gateway: true };
    expect((await plugin.call('ADD', ipam)).ips).toEqual([{ address: '10.0.0.2/24', gateway: '10.0.0.1' }]);
    expect(plugin.node.stderr).toEqual([]);
  });

  it('reuse_policy "none" gives a pod in another container another address', async () => {
    using plugin = nodeWithStore();
    const add = async (id: string, ipam: object) =>
      (await plugin.call('ADD', ipam, { env: { ...attachment(id), ...pod('p') } })).ips[0].address;
    expect(await add('a', FOUR)).toBe('10.0.0.1/24');
    expect(await add('b', { ...FOUR, reuse_policy: 'none' })).toBe('10.0.0.2/24');
    expect(await add('b', { ...FOUR, reuse_policy: 'none' })).toBe('10.0.0.2/24');
    expect(await add('c', { ...FOUR, reuse_policy: 'pod' })).toBe('10.0.0.1/24');
  });

  it('sticky gives a pod its former address, whatever happened since', async () => {
    using plugin = nodeWithStore();
    const ipam = { ...FOUR, sticky: true };
    const env = (id: string, name = 'db-0') => ({ env: { ...attachment(id), ...pod(name) } });
    expect((await plugin.call('ADD', ipam, env('a'))).ips).toEqual([{ address: '10.0.0.101/24' }]);
    await plugin.call('DEL', ipam, env('a'));
    await plugin.call('ADD', ipam, env('x', 'other'));
    expect((await plugin.call('ADD', ipam, env('b'))).ips).toEqual([{ address: '10.0.0.101/24' }]);
  });
});

describe('a range that is nearly full', () => {
  const SMALL = { range: '10.0.0.0/28' };
  const fill = async (plugin: ReturnType<typeof nodeWithStore>, count: number) => {
    for (let at = 0; at < count; at++) {
      await plugin.call('ADD', SMALL, { env: attachment(`id${at}`) });
    }
  };

  it('is told of by ADD and STATUS, and fails neither', async () => {
    using plugin = nodeWithStore();
    await fill(plugin, 11);
    expect(await plugin.call('STATUS', SMALL, { version: '1.1.0' })).toEqual({ exitCode: 0 });
    expect(plugin.node.stderr).toEqual([]);
    await fill(plugin, 13);
    const text = (count: number) => `range 10.0.0.0/28 is nearly full: ${count} of 14 addresses are taken`;
    expect(plugin.node.stderr).toEqual([text(12), text(13)]);
    expect(await plugin.call('STATUS', SMALL, { version: '1.1.0' })).toEqual({ exitCode: 0 });
    expect(plugin.node.stderr.splice(0)).toEqual([text(12), text(13), text(13)]);
    await plugin.call('ADD', { ...SMALL, log_level: 'panic' }, { env: attachment('last') });
    expect(plugin.node.stderr).toEqual([]);
    await plugin.call('STATUS', SMALL, { version: '1.1.0' });
    expect(plugin.node.stderr).toEqual(['range 10.0.0.0/28 is full: all 14 addresses are taken']);
  });
});

describe('what nobody can have meant', () => {
  it.each([
    [{ ...FOUR, subnet: '10.9.0.0/24' }, ['"subnet" is a key of host-local: write "range"']],
    [
      { ipRanges: [{ range: '10.0.0.0/24', Gateway: '10.0.0.1', rangeStart: '10.0.0.7' }] },
      [
        '"ipRanges[0].rangeStart" is a key of host-local: write "range_start"',
        '"ipRanges[0].Gateway" has no effect, ranges have none of their own here: write "gateway" beside "ipRanges"',
      ],
    ],
    [
      { ...FOUR, gateway: '10.0.0.1' },
      ['gateway 10.0.0.1 may be given to a pod: range 10.0.0.0/24 does not exclude it'],
    ],
    [{ ...FOUR, gateway: '10.0.0.1', exclude: ['10.0.0.0/30'] }, []],
    [{ ...FOUR, gateway: '10.0.0.1', range_start: '10.0.0.2' }, []],
    [{ ...FOUR, gateway: '10.9.0.1' }, []],
    [
      {
        ...FOUR,
        routes: [{ dst: '0.0.0.0/0', gw: '10.0.0.254' }],
        addresses: [{ address: '10.0.0.5/24', gateway: '10.0.0.6' }],
      },
      [
        'gateway 10.0.0.254 may be given to a pod: range 10.0.0.0/24 does not exclude it',
        'gateway 10.0.0.6 may be given to a pod: range 10.0.0.0/24 does not exclude it',
        'static address 10.0.0.5 may be given to a pod: range 10.0.0.0/24 does not exclude it',
      ],
    ],
    [{ range: '0.0.0.0/0' }, ['range 0.0.0.0/0 spans other networks too: pods get addresses that belong elsewhere']],
    [
      { range: '::/0', exclude: ['::/16'] },
      ['range ::/0 spans other networks too: pods get addresses that belong elsewhere'],
    ],
    [{ range: '10.0.0.0/8', ipRanges: [{ range: 'fd00::/8' }] }, []],
  ])('goes on, and is told on stderr: %j', async (ipam, lines) => {
    using plugin = nodeWithStore();
    expect(await plugin.call('ADD', ipam)).toMatchObject({ exitCode: 0 });
    expect(plugin.node.stderr).toEqual(lines);
  });
});

describe('DEL', () => {
  it('frees what it can find when the flat file has gone since ADD, and says so', async () => {
    using plugin = nodeWithStore();
    await plugin.call('ADD', FOUR, { env: attachment('A') });
    const gone = { ...FOUR, configuration_path: '/no/such/file' };
    expect(await plugin.call('ADD', gone, { env: attachment('B') })).toEqual({
      exitCode: 1,
      code: 7,
      msg: 'cannot use "ipam.configuration_path" "/no/such/file": there is no such file',
    });
    expect(await plugin.call('DEL', gone, { env: attachment('A') })).toEqual({ exitCode: 0 });
    expect(plugin.node.stderr).toEqual([
      `flat file "/no/such/file" is missing: addresses are freed in "${plugin.dataDir}"`,
    ]);
    expect((await plugin.call('ADD', FOUR, { env: attachment('C') })).ips).toEqual([{ address: '10.0.0.1/24' }]);
    expect(await plugin.call('DEL', { datastore: '', configuration_path: '/no/such/file' })).toMatchObject({ code: 7 });
  });

  it('frees every range, whatever the configuration says by now, and is content the second time', async () => {
    using plugin = nodeWithStore();
    await plugin.call('ADD', BOTH, { env: attachment('A') });
    const changed = { ...FOUR, range: 'nonsense', exclude: 7, gateway: 'x', kubernetes: { kubeconfig: '/k' } };
    expect(await plugin.call('DEL', changed, { env: { ...attachment('A'), CNI_ARGS: 'junk' } })).toEqual({
      exitCode: 0,
    });
    expect(await plugin.call('DEL', changed, { env: attachment('A') })).toEqual({ exitCode: 0 });
    expect((await plugin.call('ADD', BOTH, { env: attachment('B') })).ips).toEqual([
      { address: '10.0.0.1/24' },
      { address: 'fd00::1/64' },
    ]);
  });

  it('creates nothing where nothing was', async () => {
    using plugin = nodeWithStore();
    expect(await plugin.call('DEL', FOUR)).toEqual({ exitCode: 0 });
    expect(isEmpty(plugin.node)).toBe(true);
  });

  it('leaves other interfaces of the container alone', async () => {
    using plugin = nodeWithStore();
    await plugin.call('ADD', FOUR, { env: attachment('A', 'net1') });
    await plugin.call('ADD', FOUR, { env: attachment('A', 'net2') });
    await plugin.call('DEL', FOUR, { env: attachment('A', 'net1') });
    expect((await plugin.call('CHECK', FOUR, { env: attachment('A', 'net2') })).exitCode).toBe(0);
  });
});

describe('CHECK', () => {
  const prevResult = (...addresses: readonly string[]) => ({
    prevResult: { cniVersion: '1.0.0', ips: addresses.map((address) => ({ address })) },
  });

  it('passes while the reservations stand and are in use', async () => {
    using plugin = nodeWithStore();
    await plugin.call('ADD', BOTH);
    expect(await plugin.call('CHECK', BOTH)).toEqual({ exitCode: 0 });
    expect(await plugin.call('CHECK', BOTH, { top: prevResult('fd00::1/64', '10.0.0.1/24') })).toEqual({ exitCode: 0 });
  });

  it.each([
    [{ ...BOTH, network_name: 'blue' }, {}, 'it holds no address in pool "blue-10.0.0.0-24"'],
    [{ ipRanges: [...BOTH.ipRanges, { range: '10.1.0.0/16' }] }, {}, 'it holds no address in pool "10.1.0.0-16"'],
    [BOTH, prevResult('10.0.0.1/24'), 'its address fd00::1 in pool "fd00---64" is not in prevResult'],
  ])('fails for %o with %o', async (ipam, top, why) => {
    using plugin = nodeWithStore();
    await plugin.call('ADD', BOTH);
    expect(await plugin.call('CHECK', ipam, { top })).toEqual({
      exitCode: 1,
      code: 999,
      msg: `cannot find the reservation of container C1 eth0: ${why}`,
    });
  });

  it('fails when a newer container of the pod has taken the address over', async () => {
    using plugin = nodeWithStore();
    for (const id of ['A', 'B']) {
      await plugin.call('ADD', FOUR, { env: { ...attachment(id), ...pod('db-0') } });
    }
    expect((await plugin.call('CHECK', FOUR, { env: { ...attachment('A'), ...pod('db-0') } })).exitCode).toBe(1);
    expect((await plugin.call('CHECK', FOUR, { env: { ...attachment('B'), ...pod('db-0') } })).exitCode).toBe(0);
  });
});

describe('GC', () => {
  const gc = (valid: unknown, name = 'net-a') => ({
    version: '1.1.0',
    top: { name, ...(valid === undefined ? {} : { 'cni.dev/valid-attachments': valid }) },
  });

  it('frees what is not valid and keeps the rest', async () => {
    using plugin = nodeWithStore();
    for (const id of ['A', 'B', 'C']) {
      await plugin.call('ADD', BOTH, { env: attachment(id) });
    }
    expect(await plugin.call('GC', BOTH, gc([{ containerID: 'B', ifname: 'eth0' }]))).toEqual({ exitCode: 0 });
    const held = await Promise.all(['A', 'B', 'C'].map((id) => plugin.call('CHECK', BOTH, { env: attachment(id) })));
    expect(held.map(({ exitCode }) => exitCode)).toEqual([1, 0, 1]);
  });

  it('does nothing when the runtime does not say what is valid, or speaks for another network', async () => {
    using plugin = nodeWithStore();
    await plugin.call('ADD', FOUR);
    await plugin.call('GC', FOUR, gc(undefined));
    await plugin.call('GC', FOUR, gc([], 'net-b'));
    expect(await plugin.call('CHECK', FOUR)).toEqual({ exitCode: 0 });
    await plugin.call('GC', FOUR, gc([]));
    expect((await plugin.call('CHECK', FOUR)).exitCode).toBe(1);
  });
});

describe('STATUS', () => {
  const version = '1.1.0';

  it('is ready with a store, and where one can be made', async () => {
    using plugin = nodeWithStore();
    expect(await plugin.call('STATUS', FOUR, { version })).toEqual({ exitCode: 0 });
    expect(isEmpty(plugin.node)).toBe(true);
    await plugin.call('ADD', FOUR);
    expect(await plugin.call('STATUS', FOUR, { version })).toEqual({ exitCode: 0 });
  });

  it('answers 50 when the store is damaged', async () => {
    using plugin = nodeWithStore();
    await plugin.call('ADD', FOUR);
    rmSync(`${databasesIn(plugin.dataDir)[0]}-wal`);
    expect(await plugin.call('STATUS', FOUR, { version })).toMatchObject({
      code: 50,
      msg: expect.stringContaining(`cannot trust the store "${plugin.dataDir}/whereabouts-`),
    });
  });

  it('answers 50 when the place cannot be written', async () => {
    using plugin = nodeWithStore();
    const file = join(plugin.node.binDir, 'file');
    writeFileSync(file, '', { mode: 0o777 });
    expect(await plugin.call('STATUS', { ...FOUR, data_dir: join(file, 'below') }, { version })).toEqual({
      exitCode: 1,
      code: 50,
      msg: `cannot write in "${file}": ENOTDIR (not a directory)`,
    });
  });

  it('answers 7 when the configuration is at fault', async () => {
    using plugin = nodeWithStore();
    expect((await plugin.call('STATUS', { range: 'x' }, { version })).code).toBe(7);
  });
});
