/** whereabouts with the embedded datastore: what it gives, to whom, and what it remembers. */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cnitool, Lab, PARENT, writeNetwork } from '../../lab/lab.ts';
import { isOldest, PROCESSES, VERSIONS } from '../../lab/programs.ts';
import { addressTexts, filesIn, stateOf } from '../../lab/state.ts';
import { DUAL, podArgs, RANGE, Store, withStore } from '../../lab/store.ts';

describe.concurrent.each(VERSIONS)('whereabouts, version %s', (version) => {
  const document = { cniVersion: version };

  it(
    'prints the addresses as the version has them',
    withStore(
      {
        ...DUAL,
        gateway: '10.5.0.254',
        routes: [{ dst: '10.8.0.0/16', gw: '10.5.0.254' }, { dst: 'fd08::/16' }],
        dns: { domain: 'a.example' },
      },
      async (store) => {
        const { stdout, exitCode } = await store.call('ADD', 'c1', { document });
        expect(exitCode).toBe(0);
        const dns = { domain: 'a.example' };
        const [v4, v6] = ['10.5.0.1/24', 'fd05::1/120'];
        const routes = [{ dst: '10.8.0.0/16', gw: '10.5.0.254' }, { dst: 'fd08::/16' }];
        if (isOldest(version)) {
          expect(stdout).toBe(
            pretty({
              cniVersion: version,
              ip4: { ip: v4, gateway: '10.5.0.254', routes: [routes[0]] },
              ip6: { ip: v6, routes: [routes[1]] },
              dns,
            }),
          );
        } else if (version < '1.0.0') {
          expect(stdout).toBe(
            pretty({
              cniVersion: version,
              ips: [
                { version: '4', address: v4, gateway: '10.5.0.254' },
                { version: '6', address: v6 },
              ],
              routes,
              dns,
            }),
          );
        } else {
          expect(stdout).toBe(
            pretty({
              cniVersion: version,
              dns,
              ips: [{ address: v4, gateway: '10.5.0.254' }, { address: v6 }],
              routes,
            }),
          );
        }
      },
    ),
  );

  it(
    'gives, gives again, takes back, takes back again',
    { tags: 'whereabouts/file' },
    withStore(DUAL, async (store) => {
      const first = await store.add('c1', { document });
      expect(await store.add('c1', { document })).toEqual(first);
      await store.del('c1', { document });
      await store.del('c1', { document });
      expect(await store.add('c2', { document })).toEqual(first);
    }),
  );

  it('serves macvlan through cnitool', { tags: 'whereabouts/no-pod' }, async () => {
    await using lab = await Lab.open();
    const pod = await lab.pod();
    const ipam = { type: 'whereabouts', datastore: 'file', data_dir: lab.folder('store'), ...DUAL };
    const confDir = writeNetwork(lab, 'net-a', version, [{ type: 'macvlan', master: PARENT, ipam }]);
    const wrapper = ['sh', '-c', `mount --bind ${lab.folder('cache')} /var/lib && exec "$0" "$@"`];
    const run = (verb: string) => cnitool(lab, verb, 'net-a', pod, { confDir, wrapper });
    const before = await stateOf(pod.name);
    expect(await run('add')).toMatchObject({ exitCode: 0 });
    expect(addressTexts(await stateOf(pod.name), 'net1')).toEqual(['10.5.0.1/24', 'fd05::1/120']);
    expect((await run('check')).exitCode).toBe(isOldest(version) || version.startsWith('0.3') ? 1 : 0);
    if (version === '1.1.0') {
      expect(await run('status')).toMatchObject({ exitCode: 0 });
    }
    expect(await run('del')).toMatchObject({ exitCode: 0 });
    expect(await run('del')).toMatchObject({ exitCode: 0 });
    expect(await stateOf(pod.name)).toEqual(before);
    expect(await new Store(lab, DUAL).add('next')).toEqual(['10.5.0.1/24', 'fd05::1/120']);
  });
});

describe.concurrent('the address that whereabouts gives', () => {
  it(
    'is the lowest that is free',
    withStore(RANGE, async (store) => {
      for (const [index, id] of ['a', 'b', 'c', 'd'].entries()) {
        expect(await store.add(id)).toEqual([`10.5.0.${index + 1}/24`]);
      }
      await store.del('c');
      await store.del('b');
      expect([await store.add('e'), await store.add('f'), await store.add('g')]).toEqual([
        ['10.5.0.2/24'],
        ['10.5.0.3/24'],
        ['10.5.0.5/24'],
      ]);
    }),
  );

  const forms: readonly { readonly what: object; readonly given: readonly string[] }[] = [
    { what: { range: '10.9.7.130/25' }, given: ['10.9.7.129/25', '10.9.7.130/25'] },
    { what: { range: '10.9.7.130/25', range_start: '10.9.7.200' }, given: ['10.9.7.200/25'] },
    { what: { range: '10.9.7.20-10.9.7.90/24' }, given: ['10.9.7.20/24', '10.9.7.21/24'] },
    { what: { range: '10.9.7.20-10.9.7.90/24', range_start: '10.9.7.50' }, given: ['10.9.7.20/24'] },
    { what: { range: 'fd12:00ab::/64' }, given: ['fd12:ab::1/64', 'fd12:ab::2/64'] },
    { what: { range: '010.009.007.000/24' }, given: ['10.9.7.1/24'] },
    { what: { range: '192.168.1.44/28' }, given: ['192.168.1.33/28'] },
    { what: { range: '192.168.1.0/24', exclude: ['192.168.1.0/28', '192.168.1.16/28'] }, given: ['192.168.1.32/24'] },
    {
      what: { range: '192.168.1.0/24', exclude: ['192.168.1.1', '192.168.1.3/32', '192.168.1.9/30'] },
      given: ['192.168.1.2/24', '192.168.1.4/24'],
    },
    { what: { range: '192.168.1.0/24', exclude: ['10.0.0.0/8', 'fd00::/8'] }, given: ['192.168.1.1/24'] },
    { what: { range: '192.168.1.0/24', range_start: '10.0.0.1' }, given: ['192.168.1.1/24'] },
    { what: { range: 'fd00::/8', exclude: ['fd00::/9', 'fd80::/16'] }, given: ['fd81::/8'] },
    { what: { range: '10.0.0.0/8', exclude: ['10.0.0.0/9', '10.128.0.0/16'] }, given: ['10.129.0.0/8'] },
    {
      what: {
        ipRanges: [
          { range: '10.1.0.0/24', range_start: '10.1.0.7' },
          { range: '10.2.0.0/24', exclude: ['10.2.0.1'] },
        ],
      },
      given: ['10.1.0.7/24'],
    },
    { what: { range: '10.3.0.0/24', ipRanges: [{ range: '10.4.0.0/24' }] }, given: ['10.3.0.1/24'] },
    { what: { Range: '10.3.0.0/24', EXCLUDE: ['10.3.0.1'], Range_Start: null }, given: ['10.3.0.2/24'] },
  ];
  for (const { what, given } of forms) {
    it(
      `is ${given.join(', ')} of ${JSON.stringify(what)}`,
      withStore(what, async (store) => {
        for (const [index, address] of given.entries()) {
          expect((await store.add(`c${index}`))[0]).toBe(address);
        }
      }),
    );
  }

  it(
    'goes on beyond the byte',
    withStore({ range: '10.10.0.0/16', range_start: '10.10.0.255' }, async (store) => {
      expect([await store.add('a'), await store.add('b')]).toEqual([['10.10.0.255/16'], ['10.10.1.0/16']]);
    }),
  );

  it(
    'is never the first or the last of the range',
    withStore({ range: '198.51.100.0/30' }, async (store) => {
      expect([await store.add('a'), await store.add('b')]).toEqual([['198.51.100.1/30'], ['198.51.100.2/30']]);
      expect(await store.fails('ADD', 'c')).toMatchObject({
        code: 999,
        message: expect.stringMatching(
          /^error at storage engine: Could not allocate IP in range: ip: 198\.51\.100\.1 \/ - 198\.51\.100\.2 \/ range: 198\.51\.100\.0\/30/,
        ),
      });
    }),
  );

  it(
    'stays with a pod that comes back with another container',
    withStore(RANGE, async (store) => {
      await store.add('other', { args: podArgs('web-0') });
      const first = await store.add('old', { args: podArgs('db-0') });
      expect(await store.add('new', { args: podArgs('db-0') })).toEqual(first);
      await store.del('old', { args: podArgs('db-0') });
      expect(await store.add('third', { args: podArgs('web-1') })).toEqual(['10.5.0.3/24']);
      await store.del('new', { args: podArgs('db-0') });
      expect(await store.add('fourth', { args: podArgs('web-2') })).toEqual(first);
    }),
  );

  it(
    'is another for another interface, namespace or network name',
    withStore(RANGE, async (store) => {
      const args = podArgs('db-0');
      const given = [
        await store.add('c1', { args }),
        await store.add('c1', { args, ifName: 'net2' }),
        await store.add('c2', { args: podArgs('db-0', 'other') }),
      ];
      expect(given).toEqual([['10.5.0.1/24'], ['10.5.0.2/24'], ['10.5.0.3/24']]);
      expect(await store.with({ network_name: 'blue' }).add('c1', { args })).toEqual(['10.5.0.1/24']);
    }),
  );

  it(
    'is given again whatever was excluded meanwhile',
    withStore(RANGE, async (store) => {
      const first = await store.add('c1');
      expect(await store.with({ exclude: ['10.5.0.0/28'] }).add('c1')).toEqual(first);
    }),
  );
});

describe.concurrent('whereabouts takes back', () => {
  it(
    'all ranges of an attachment, and only those',
    { tags: 'whereabouts/del-all' },
    withStore(DUAL, async (store) => {
      await store.add('a');
      await store.add('a', { ifName: 'net2' });
      await store.del('a');
      expect([await store.add('b'), await store.add('c')]).toEqual([
        ['10.5.0.1/24', 'fd05::1/120'],
        ['10.5.0.3/24', 'fd05::3/120'],
      ]);
    }),
  );

  it(
    'what was reserved with ranges that are configured no more',
    withStore(RANGE, async (store) => {
      await store.add('a');
      await store.with({ range: '10.6.0.0/24' }).del('a');
      expect(await store.add('b')).toEqual(['10.5.0.1/24']);
    }),
  );

  it(
    'whatever else is wrong with the configuration',
    { tags: 'whereabouts/del-lenient' },
    withStore(RANGE, async (store) => {
      await store.add('a');
      await store
        .with({ range: 'x', exclude: 7, gateway: 'y', routes: 'z', addresses: null })
        .del('a', { args: 'MAL;FORMED', document: { dns: 7 } });
      expect(await store.add('b')).toEqual(['10.5.0.1/24']);
    }),
  );

  it(
    'nothing where there is nothing, and creates nothing',
    { tags: 'whereabouts/del-creates' },
    withStore(RANGE, async (store) => {
      rmSync(store.folder, { recursive: true });
      await store.del('a');
      expect(existsSync(store.folder)).toBe(false);
    }),
  );

  it(
    'all or none: a second range that is full leaves nothing of the first',
    { tags: 'whereabouts/atomic' },
    withStore({ ipRanges: [{ range: '10.5.0.0/24' }, { range: '10.6.0.0/30' }] }, async (store) => {
      await store.add('a');
      await store.add('b');
      expect(await store.fails('ADD', 'c')).toMatchObject({ code: 999 });
      expect(await store.with({ ipRanges: [{ range: '10.5.0.0/24' }] }).add('d')).toEqual(['10.5.0.3/24']);
    }),
  );

  it(
    'and says so when it cannot',
    { tags: 'whereabouts/del-errors' },
    withStore(RANGE, async (store) => {
      const closed = new Store(store.lab, RANGE, PROCESSES);
      await closed.add('a');
      await store.lab.makeReadOnly(store.folder);
      expect(await store.fails('DEL', 'a')).toMatchObject({ code: 5 });
      await store.lab.makeWritable(store.folder);
      await closed.del('a');
      expect(await closed.add('b')).toEqual(['10.5.0.1/24']);
    }),
  );
});

describe.concurrent('ranges that overlap', () => {
  const BOTH = { ipRanges: [{ range: '10.40.0.0/16' }, { range: '10.40.0.0/24' }] };

  it(
    'never give the same address',
    withStore(BOTH, async (store) => {
      expect([await store.add('a'), await store.add('b')]).toEqual([
        ['10.40.0.1/16', '10.40.0.2/24'],
        ['10.40.0.3/16', '10.40.0.4/24'],
      ]);
    }),
  );

  it(
    'never give the same address to two interfaces of one pod',
    { tags: 'whereabouts/same-pod' },
    withStore({ range: '10.40.0.0/16' }, async (store) => {
      const args = podArgs('db-0');
      expect(await store.add('a', { args })).toEqual(['10.40.0.1/16']);
      expect(await store.with({ range: '10.40.0.0/24' }).add('a', { args, ifName: 'net2' })).toEqual(['10.40.0.2/24']);
    }),
  );

  it(
    'give a pod a new address when another range has given its own away',
    { tags: 'whereabouts/wedge' },
    withStore({ range: '10.40.0.0/16' }, async (store) => {
      const free = { enable_overlapping_ranges: false };
      await store.add('a', { args: podArgs('db-0') });
      await store.with({ ...free, range: '10.40.0.0/24' }).add('b', { args: podArgs('web-0') });
      expect(await store.add('c', { args: podArgs('db-0') })).toEqual(['10.40.0.2/16']);
    }),
  );

  it(
    'see an address of a range that is not protected',
    { tags: 'whereabouts/overlap-all' },
    withStore({ range: '10.40.0.0/16' }, async (store) => {
      await store.with({ range: '10.40.0.0/24', enable_overlapping_ranges: false }).add('a');
      expect(await store.add('b')).toEqual(['10.40.0.2/16']);
    }),
  );

  it(
    'give the same address when they are told to',
    withStore({ ...BOTH, enable_overlapping_ranges: false }, async (store) => {
      expect(new Set(await store.add('a')).size).toBe(2); // within one call never
      expect(await store.with({ ipRanges: [{ range: '10.40.0.0/20' }] }).add('b')).toEqual(['10.40.0.1/20']);
    }),
  );

  it(
    'do not see each other under different network names',
    withStore({ range: '10.40.0.0/16', network_name: 'blue' }, async (store) => {
      await store.add('a');
      expect(await store.with({ range: '10.40.0.0/24', network_name: 'red' }).add('b')).toEqual(['10.40.0.1/24']);
    }),
  );

  it(
    'a range that is written twice gives two addresses',
    { tags: 'whereabouts/twice' },
    withStore({ ipRanges: [RANGE, RANGE] }, async (store) => {
      const first = await store.add('a');
      expect(first).toEqual(['10.5.0.1/24', '10.5.0.2/24']);
      expect(await store.add('a')).toEqual(first);
      await store.del('a');
      expect(await store.add('b')).toEqual(first);
    }),
  );
});

describe.concurrent('what whereabouts adds to an address', () => {
  it(
    'is a gateway of the same family only',
    { tags: 'whereabouts/gateway-family' },
    withStore({ ...DUAL, gateway: 'fd05::fe' }, async (store) => {
      const { stdout } = await store.call('ADD', 'a');
      expect(JSON.parse(stdout).ips).toEqual([
        { address: '10.5.0.1/24' },
        { address: 'fd05::1/120', gateway: 'fd05::fe' },
      ]);
    }),
  );

  it(
    'are static addresses, those of CNI_ARGS too, after all others',
    withStore({ ...RANGE, addresses: [{ address: '10.9.0.7/24', gateway: '10.9.0.1' }] }, async (store) => {
      const { stdout } = await store.call('ADD', 'a', {
        args: 'IgnoreUnknown=1;IP=10.9.1.8/24,fd09::8/64;GATEWAY=10.9.1.1',
      });
      expect(JSON.parse(stdout).ips).toEqual([
        { address: '10.5.0.1/24' },
        { address: '10.9.0.7/24', gateway: '10.9.0.1' },
        { address: '10.9.1.8/24', gateway: '10.9.1.1' },
        { address: 'fd09::8/64' },
      ]);
    }),
  );

  it(
    'are static addresses alone, without a store',
    withStore({ addresses: [{ address: '10.9.0.7/24' }] }, async (store) => {
      expect(await store.add('a')).toEqual(['10.9.0.7/24']);
      expect(filesIn(store.folder)).toEqual({});
    }),
  );

  it(
    'comes from the flat file where the configuration has nothing',
    { tags: 'whereabouts/flat-file' },
    withStore({ datastore: '', data_dir: '', exclude: ['10.5.0.1'] }, async (store) => {
      const flat = join(store.lab.dir, 'flat.conf');
      writeFileSync(
        flat,
        JSON.stringify({
          datastore: 'file',
          data_dir: store.folder,
          range: '10.5.0.0/24',
          gateway: '10.5.0.254',
          exclude: ['10.5.0.0/25'],
        }),
      );
      const { stdout } = await store.with({ configuration_path: flat }).call('ADD', 'a');
      expect(JSON.parse(stdout).ips).toEqual([{ address: '10.5.0.2/24', gateway: '10.5.0.254' }]);
      await store.with({ configuration_path: flat }).del('a');
    }),
  );

  it(
    'reads Gateway as gateway',
    { tags: 'whereabouts/gateway-key' },
    withStore({ ...RANGE, Gateway: '10.5.0.254' }, async (store) => {
      expect(JSON.parse((await store.call('ADD', 'a')).stdout).ips).toEqual([
        { address: '10.5.0.1/24', gateway: '10.5.0.254' },
      ]);
    }),
  );

  it(
    'a word etcd of old configurations means the cluster',
    withStore({ ...RANGE, datastore: 'etcd', kubernetes: { kubeconfig: '/x' } }, async (store) => {
      expect(await store.fails('ADD', 'a')).toMatchObject({
        code: 4,
        message: expect.stringContaining('of the cluster'),
      });
    }),
  );

  it(
    'offsets beyond 63 bits are kept',
    { tags: 'whereabouts/keys' },
    withStore({ range: 'fd00::/8', range_start: 'fdff::1' }, async (store) => {
      expect(await store.add('a')).toEqual(['fdff::1/8']);
      expect(await store.add('a')).toEqual(['fdff::1/8']);
      expect(await store.add('b')).toEqual(['fdff::2/8']);
      await store.del('a');
      expect(await store.add('c')).toEqual(['fdff::1/8']);
    }),
  );
});

describe.concurrent('whereabouts CHECK', { tags: 'whereabouts/check' }, () => {
  const result = (...addresses: readonly string[]) => ({
    prevResult: { cniVersion: '1.1.0', ips: addresses.map((address) => ({ address })) },
  });

  it(
    'knows what is held',
    withStore(DUAL, async (store) => {
      await store.add('a');
      expect(await store.call('CHECK', 'a', { document: result('10.5.0.1/24', 'fd05::1/120') })).toMatchObject({
        exitCode: 0,
        stdout: '',
      });
      expect(await store.call('CHECK', 'a')).toMatchObject({ exitCode: 0, stdout: '' });
    }),
  );

  it.each([
    {
      why: 'another container asks',
      id: 'b',
      document: result('10.5.0.1/24', 'fd05::1/120'),
      says: /holds no address/,
    },
    {
      why: 'the result has another address',
      id: 'a',
      document: result('10.5.0.9/24', 'fd05::1/120'),
      says: /10\.5\.0\.1/,
    },
    { why: 'the result has none of a family', id: 'a', document: result('10.5.0.1/24'), says: /fd05::1/ },
  ])('fails when $why', async ({ id, document, says }) => {
    await using lab = await Lab.open();
    const store = new Store(lab, DUAL);
    await store.add('a');
    expect(await store.fails('CHECK', id, { document })).toMatchObject({
      code: 999,
      message: expect.stringMatching(says),
    });
  });

  it(
    'fails after DEL',
    withStore(RANGE, async (store) => {
      await store.add('a');
      await store.del('a');
      expect(await store.fails('CHECK', 'a')).toMatchObject({ code: 999 });
    }),
  );
});

describe.concurrent('whereabouts GC', { tags: 'whereabouts/gc' }, () => {
  const valid = (...ids: readonly string[]) => ({
    'cni.dev/valid-attachments': ids.map((id) => ({ containerID: id, ifname: 'net1' })),
  });
  const collect = async (store: Store, document: object) => {
    expect(await store.call('GC', '', { document })).toMatchObject({ exitCode: 0, stdout: '' });
  };

  it(
    'frees what is not named',
    withStore(DUAL, async (store) => {
      for (const id of ['a', 'b', 'c']) {
        await store.add(id);
      }
      await collect(store, valid('b'));
      expect([await store.add('b'), await store.add('d'), await store.add('e')]).toEqual([
        ['10.5.0.2/24', 'fd05::2/120'],
        ['10.5.0.1/24', 'fd05::1/120'],
        ['10.5.0.3/24', 'fd05::3/120'],
      ]);
    }),
  );

  it(
    'frees everything when the list is empty',
    withStore(RANGE, async (store) => {
      await store.add('a');
      await store.add('b');
      await collect(store, valid());
      expect(await store.add('c')).toEqual(['10.5.0.1/24']);
    }),
  );

  it(
    'frees nothing when there is no list',
    withStore(RANGE, async (store) => {
      await store.add('a');
      await collect(store, {});
      expect(await store.add('c')).toEqual(['10.5.0.2/24']);
    }),
  );

  it(
    'reads the older key too',
    withStore(RANGE, async (store) => {
      await store.add('a');
      await collect(store, { 'cni.dev/attachments': [] });
      expect(await store.add('c')).toEqual(['10.5.0.1/24']);
    }),
  );

  it(
    'frees nothing of another network on the same range',
    withStore(RANGE, async (store) => {
      await store.add('a', { document: { name: 'other' } });
      await collect(store, valid());
      expect(await store.add('c')).toEqual(['10.5.0.2/24']);
    }),
  );

  it(
    'tells interfaces of one container apart',
    withStore(RANGE, async (store) => {
      await store.add('a');
      await store.add('a', { ifName: 'net2' });
      await collect(store, valid('a'));
      expect(await store.add('c')).toEqual(['10.5.0.2/24']);
    }),
  );
});
const pretty = (value: unknown): string => JSON.stringify(value, null, 4);
