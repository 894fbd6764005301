import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readConf } from '../../../lib/cni/config.ts';
import { formatIp } from '../../../lib/net/ip.ts';
import { temporaryFolder } from '../../../lib/sys/testing/temporary.ts';
import { IpamConf } from '../config.ts';
import { importCommand } from '../import-command.ts';
import { readRanges } from '../ranges.ts';
import { ip, rangesOf, reserved, storeHost, storeIn } from '../testing/fixtures.ts';
import { prefixesOf, sliceFor } from './blocks.ts';

const POOLS = `
apiVersion: nv-ipam.nvidia.com/v1alpha1
kind: IPPool
metadata: {name: rail-a, namespace: nvidia}
spec:
  subnet: 10.60.0.0/24
  perNodeBlockSize: 20
  gateway: 10.60.0.1
  exclusions: [{startIP: 10.60.0.100, endIP: 10.60.0.103}]
  perNodeExclusions: [{startIndex: 2, endIndex: 2}]
  nodeSelector: {nodeSelectorTerms: []}
  defaultGateway: true
  routes: [{dst: 10.0.0.0/8}]
status:
  allocations:
    - {nodeName: w-1, startIP: 10.60.0.1, endIP: 10.60.0.20}
---
apiVersion: nv-ipam.nvidia.com/v1alpha1
kind: CIDRPool
metadata: {name: rail-b}
spec:
  cidr: 10.61.0.0/16
  perNodeNetworkPrefix: 31
  gatewayIndex: 0
  perNodeExclusions: []
  staticAllocations: [{nodeName: w-9, prefix: 10.61.9.8/31}]
status:
  allocations: [{nodeName: w-1, prefix: 10.61.0.2/31, gateway: 10.61.0.2}]
`;

const STORE = JSON.stringify({
  version: 1,
  checksum: 17,
  pools: {
    'rail-a': {
      name: 'rail-a',
      entries: {
        idA_net1: {
          container_id: 'idA',
          interface_name: 'net1',
          ip_address: '10.60.0.2',
          metadata: { pod_name: 'a', pod_namespace: 'lab', pod_uuid: 'u' },
        },
        idB_net1: {
          container_id: 'idB',
          interface_name: 'net1',
          ip_address: '10.60.0.4',
          metadata: {},
          released_at: '2026-01-01T00:00:00Z',
        },
      },
      last_pool_config: '{}',
      last_reserved_ip: '10.60.0.4',
    },
    'cidrpool/rail-b': {
      name: 'cidrpool/rail-b',
      entries: {
        idA_net2: {
          container_id: 'idA',
          interface_name: 'net2',
          ip_address: '10.61.0.3',
          metadata: { pod_name: 'a', pod_namespace: 'lab' },
        },
      },
    },
    'rail-c': {
      name: 'rail-c',
      entries: { idC_net1: { container_id: 'idC', interface_name: 'net1', ip_address: '10.62.0.3', metadata: {} } },
    },
  },
});

async function lab<T>(
  work: (run: (...args: readonly string[]) => Promise<readonly string[]>, dir: string) => Promise<T>,
) {
  using folder = temporaryFolder();
  mkdirSync(join(folder.path, 'x'));
  const run = async (...args: readonly string[]): Promise<readonly string[]> => {
    const lines: string[] = [];
    using host = storeHost();
    expect(await importCommand.run(args, host, (line) => lines.push(line))).toBe(0);
    return lines;
  };
  return await work(run, folder.path);
}

const written = (dir: string, name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};

interface Printed {
  readonly pools: readonly {
    readonly pool: string;
    readonly ipam: object;
    readonly perNode: readonly { readonly node: string; readonly ipam: object }[];
    readonly notes: readonly string[];
  }[];
  readonly imported: readonly object[];
  readonly skipped: readonly string[];
}

describe('pools of NV-IPAM', () => {
  it('are told as configurations that the plugin takes', () =>
    lab(async (run, dir) => {
      const file = written(dir, 'pools.yaml', POOLS);
      const { pools } = JSON.parse((await run(file, '--json')).join('\n')) as Printed;
      expect(pools.map(({ pool, ipam }) => [pool, ipam])).toEqual([
        [
          'rail-a',
          {
            type: 'whereabouts',
            network_name: 'rail-a',
            range: '10.60.0.0/24',
            exclude: ['10.60.0.1', '10.60.0.100/30', '10.60.0.3'],
            gateway: '10.60.0.1',
            node_slice_size: '/27',
            routes: [{ dst: '0.0.0.0/0' }, { dst: '10.0.0.0/8' }],
          },
        ],
        [
          'rail-b',
          {
            type: 'whereabouts',
            network_name: 'rail-b',
            range: '10.61.0.0/16',
            exclude: ['10.61.0.2', '10.61.9.8'],
            node_slice_size: '/31',
            small_subnets: true,
          },
        ],
      ]);
      expect(pools[1]?.perNode).toEqual([
        { node: 'w-1', ipam: expect.objectContaining({ range: '10.61.0.2/31', gateway: '10.61.0.2' }) },
        { node: 'w-9', ipam: expect.objectContaining({ range: '10.61.9.8/31', gateway: '10.61.9.8' }) },
      ]);
      expect(pools[0]?.notes).toHaveLength(3);
      expect(pools.map(({ ipam }) => readRanges(readConf(IpamConf, ipam as never)).length)).toEqual([1, 1]);
    }));

  it('are printed for people to paste', () =>
    lab(async (run, dir) => {
      const lines = await run(written(dir, 'pools.yaml', POOLS));
      expect(lines[0]).toBe('# IPPool "rail-a"');
      expect(lines[1]).toMatch(/^"ipam": \{\n {2}"type": "whereabouts",/);
      expect(lines.filter((line) => line.startsWith('# of node'))).toEqual(['# of node "w-1"', '# of node "w-9"']);
    }));

  it('are also read from lists in JSON', () =>
    lab(async (run, dir) => {
      const spec = { cidr: 'fd60::/48', perNodeNetworkPrefix: 64, gatewayIndex: 1 };
      const item = { apiVersion: 'nv-ipam.nvidia.com/v1alpha1', kind: 'CIDRPool', metadata: { name: 'six' }, spec };
      const file = written(dir, 'list.json', JSON.stringify({ kind: 'List', items: [item] }));
      const { pools } = JSON.parse((await run(file, '--json')).join('\n')) as Printed;
      expect(pools[0]).toMatchObject({
        ipam: { range: 'fd60::/48', node_slice_size: '/64' },
        perNode: [],
        notes: [expect.stringContaining('each node has its own')],
      });
    }));

  it.each([
    [
      'kind: IPPool\nmetadata: {name: p}\nspec: {perNodeBlockSize: 3}',
      'cannot use IPPool "p": its "spec.subnet" is invalid',
    ],
    [
      'kind: IPPool\nmetadata: {name: p}\nspec: {subnet: x, perNodeBlockSize: 3}',
      'cannot use pool "p": "x" is no CIDR',
    ],
  ])('are refused when they make no sense: %s', (text, why) =>
    lab(async (run, dir) => {
      const file = written(dir, 'pools.yaml', `apiVersion: nv-ipam.nvidia.com/v1alpha1\n${text}`);
      await expect(run(file)).rejects.toThrow(why);
    }),
  );
});

describe('what NV-IPAM has given out on a node', () => {
  it('is kept, so that running pods keep it and nobody else gets it', () =>
    lab(async (run, dir) => {
      const args = [
        written(dir, 'pools.yaml', POOLS),
        '--reservations',
        written(dir, 'store', STORE),
        '--data-dir',
        join(dir, 'data'),
      ];
      const { imported, skipped } = JSON.parse((await run(...args, '--json')).join('\n')) as Printed;
      expect(imported).toEqual([
        { networkName: 'rail-a', added: 1, present: 0 },
        { networkName: 'rail-b', added: 1, present: 0 },
      ]);
      expect(skipped).toEqual(['pool "rail-c" of 1 addresses: there is no object of it']);
      expect((await run(...args)).slice(-2)).toEqual([
        'imported 0 addresses of network "rail-a"; 1 already there',
        'imported 0 addresses of network "rail-b"; 1 already there',
      ]);
      using host = storeHost();
      const [a, b] = ['rail-a', 'rail-b'].map((name) => storeIn(join(dir, 'data'), host, name));
      expect(await reserved(a, 'lab/new net1 idN', rangesOf('10.60.0.0/24'))).toEqual(['10.60.0.1']);
      expect(await reserved(a, 'lab/more net1 idM', rangesOf('10.60.0.0/24'))).toEqual(['10.60.0.3']);
      expect(await reserved(a, 'lab/a net1 idA2', rangesOf('10.60.0.0/24'))).toEqual(['10.60.0.2']); // the pod comes back
      expect((await b?.release({ id: 'idA', ifname: 'net2' }))?.map((held) => formatIp(held.ip))).toEqual([
        '10.61.0.3',
      ]);
    }));

  it('is refused when it is not what the plugin writes', () =>
    lab(async (run, dir) => {
      const [pools, store] = [written(dir, 'pools.yaml', POOLS), written(dir, 'store', '{"version":2,"pools":{}}')];
      const data = ['--data-dir', join(dir, 'data')];
      await expect(run(pools, '--reservations', store, ...data)).rejects.toThrow('its "version" is invalid');
      await expect(run('--nv-ipam')).rejects.toThrow('expected --kubeconfig or --in-cluster with --nv-ipam');
    }));
});

describe('blocks of addresses', () => {
  it('are the fewest prefixes', () => {
    const span = (first: string, last: string) => ({ first: ip(first).value, last: ip(last).value });
    expect(prefixesOf(4, span('10.0.0.1', '10.0.0.10'))).toEqual([
      '10.0.0.1',
      '10.0.0.2/31',
      '10.0.0.4/30',
      '10.0.0.8/31',
      '10.0.0.10',
    ]);
    expect(prefixesOf(4, span('10.0.0.0', '10.0.0.255'))).toEqual(['10.0.0.0/24']);
    expect(prefixesOf(6, span('fd00::', 'fd00::1:ffff'))).toEqual(['fd00::/111']);
    expect(prefixesOf(4, span('255.255.255.255', '255.255.255.255'))).toEqual(['255.255.255.255']);
  });
  it.each([
    [4, 1, 30],
    [4, 2, 30],
    [4, 3, 29],
    [4, 254, 24],
    [6, 500, 119],
  ] as const)('of IPv%i with %i addresses are slices of /%i', (family, addresses, prefix) => {
    expect(sliceFor(family, addresses)).toBe(prefix);
  });
});
