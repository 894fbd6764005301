/** What the Go RDMA shared device plugin answers on the same node. */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../sys/testing/temporary.ts';
import { discover } from '../discovery.ts';
import { makeSampleNode, sampleKernel } from '../testing/sample-node.ts';
import { readSharedConfig } from './config.ts';
import { SharedRdma } from './resource.ts';
import { SharedRdmaSource } from './source.ts';

const CONFIG = {
  periodicUpdateInterval: 1,
  configList: [
    {
      resourceName: 'hca_a',
      rdmaHcaMax: 3,
      selectors: { vendors: ['15b3'], deviceIDs: ['101d'], linkTypes: ['ether'] },
    },
    { resourceName: 'hca_b', resourcePrefix: 'example.com', rdmaHcaMax: 2, devices: ['ens3v0', 'nosuch'] },
    { resourceName: 'hca_none', rdmaHcaMax: 4, selectors: { ifNames: ['nosuch'] } },
    { resourceName: 'hca_zero', selectors: { drivers: ['mlx5_core'] } },
  ],
};

const look = (root: string) => discover(join(root, 'sys'), sampleKernel()).devices;

function resourcesAt(root: string): readonly SharedRdma[] {
  makeSampleNode(root);
  return readSharedConfig(JSON.stringify(CONFIG)).resources.map(
    (one) => new SharedRdma(one, look(root), { root, useCdi: false }),
  );
}

const idsOf = ({ devices }: SharedRdma) => devices.value.map(({ ID }) => ID);
const filesOf = async (resource: SharedRdma, ...ids: readonly string[]) =>
  (await resource.allocate(ids)).devices.map(({ hostPath, permissions }) => {
    expect(permissions).toBe('rwm');
    return hostPath.replace('/dev/infiniband/', '');
  });

describe('shared RDMA resources', () => {
  it('give a container the files of all of their devices, whichever place it gets', async () => {
    using folder = temporaryFolder();
    const [a, b, none, zero] = resourcesAt(folder.path) as [SharedRdma, SharedRdma, SharedRdma, SharedRdma];
    expect([a, b, none, zero].map(idsOf)).toEqual([['0', '1', '2'], ['0', '1'], [], []]);
    expect([a, b].map(({ socketName }) => socketName)).toEqual(['hca_a.sock', 'hca_b.sock']);
    expect(await filesOf(a, '2')).toEqual(['issm0', 'umad0', 'uverbs0', 'rdma_cm', 'issm1', 'umad1', 'uverbs1']);
    expect(await filesOf(b, '0', '1')).toEqual(['issm2', 'umad2', 'uverbs2', 'rdma_cm']);
    await expect(a.allocate(['3'])).rejects.toThrow('resource "rdma/hca_a" has no place "3"');
  });

  it('follow what the node has; places stay known when the last device has gone', async () => {
    using folder = temporaryFolder();
    const [a] = resourcesAt(folder.path) as [SharedRdma];
    const lose = (number: number): void => {
      rmSync(join(folder.path, `sys/class/infiniband_verbs/uverbs${number}`), { recursive: true });
      a.update(look(folder.path), { held: new Set(), kernel: sampleKernel(), now: 0 });
    };
    lose(1);
    expect(await filesOf(a, '0')).toEqual(['issm0', 'umad0', 'uverbs0', 'rdma_cm']);
    lose(0);
    expect(a.devices.value.map(({ ID, health }) => [ID, health])).toEqual([
      ['0', 'Unhealthy'],
      ['1', 'Unhealthy'],
      ['2', 'Unhealthy'],
    ]);
    await expect(a.allocate(['0'])).rejects.toThrow('resource "rdma/hca_a" has no RDMA device at the moment');
  });
});

describe('shared RDMA resources that the runtime gives files for', () => {
  it('are told to it before the kubelet, each device once, and named as the Go plugin names them', async () => {
    using folder = temporaryFolder();
    makeSampleNode(folder.path);
    const source = new SharedRdmaSource('config.json', { root: folder.path, useCdi: true });
    const lookAgain = (...held: readonly string[]) =>
      source.look({
        devices: look(folder.path),
        kernel: sampleKernel(),
        held: new Map(held.map((name) => [name, new Set(['0'])])),
        now: 0,
      });
    const told = (): Readonly<Record<string, readonly string[]>> => {
      const cdi = join(folder.path, 'var/run/cdi');
      return Object.fromEntries(
        readdirSync(cdi).map((file) => {
          const { devices } = load(readFileSync(join(cdi, file), 'utf8')) as { devices: { name: string }[] };
          return [file, devices.map(({ name }) => name)];
        }),
      );
    };
    source.configure(JSON.stringify(CONFIG));
    const { resources, toSetUp } = lookAgain();
    expect(toSetUp).toEqual(['ens3np0', 'ens4np0', 'ens3v0', 'ens3v1']);
    expect(told()).toEqual({
      'nvidia.com_hca_a.yaml': ['0000:03:00.0', '0000:04:00.0'],
      'nvidia.com_hca_b.yaml': ['0000:03:00.1'],
      'nvidia.com_hca_zero.yaml': ['0000:03:00.2'],
    });
    expect(await resources[0]?.allocate(['1'])).toEqual({
      envs: {},
      devices: [],
      annotations: {
        'cdi.k8s.io/nvidia.com_net-rdma_hca_a': 'nvidia.com/net-rdma=0000:03:00.0,nvidia.com/net-rdma=0000:04:00.0',
      },
      cdiDevices: [{ name: 'nvidia.com/net-rdma=0000:03:00.0' }, { name: 'nvidia.com/net-rdma=0000:04:00.0' }],
    });
    source.configure(JSON.stringify({ ...CONFIG, configList: CONFIG.configList.slice(1) }));
    expect(lookAgain()).toMatchObject({ toSetUp: [], againMs: 1_000 });
    expect(told()).toEqual({
      'nvidia.com_hca_b.yaml': ['0000:03:00.1'],
      'nvidia.com_hca_zero.yaml': ['0000:03:00.0', '0000:03:00.2', '0000:04:00.0'],
    });
    const held = 'example.com/hca_b'; // by a container that may be started again
    source.configure(JSON.stringify({ ...CONFIG, configList: CONFIG.configList.slice(0, 1) }));
    for (const _ of 'twice') {
      lookAgain(held);
      expect(told()).toEqual({
        'nvidia.com_hca_a.yaml': ['0000:03:00.0', '0000:04:00.0'],
        'nvidia.com_hca_b.yaml': ['0000:03:00.1'],
      });
    }
    lookAgain();
    expect(Object.keys(told())).toEqual(['nvidia.com_hca_a.yaml']);
  });
});

describe('their configuration', () => {
  const entry = (more: object): object => ({ resourceName: 'a', rdmaHcaMax: 1, devices: ['eth0'], ...more });

  it.each<[string, unknown, string]>([
    ['no list', {}, 'cannot use "configList": there is no resource in it'],
    ['text', 'x', 'it is not an object'],
    [
      'a negative number',
      { configList: [entry({ rdmaHcaMax: -1 })] },
      'cannot use "configList.0.rdmaHcaMax": -1 is not at least 0',
    ],
    [
      'a hyphen',
      { configList: [entry({ resourceName: 'a-b' })] },
      'cannot use "configList.0.resourceName" "a-b": only letters, digits and "_" are possible',
    ],
    [
      'a name twice',
      { configList: [entry({}), entry({ resourcePrefix: 'other' })] },
      'cannot use "configList": two resources have the name "a"',
    ],
    [
      'both forms',
      { configList: [entry({ selectors: { vendors: ['15b3'] } })] },
      'cannot use "configList.0": "devices" and "selectors" exclude each other',
    ],
    [
      'neither',
      { configList: [entry({ devices: [] })] },
      'cannot use "configList.0": neither "devices" nor "selectors" is given',
    ],
    [
      'a negative interval',
      { periodicUpdateInterval: -1, configList: [entry({})] },
      'cannot use "periodicUpdateInterval": -1 is not at least 0',
    ],
  ])('is refused with %s', (_, config, message) => {
    expect(() => readSharedConfig(JSON.stringify(config))).toThrow(message);
  });

  it.each([
    [undefined, 60_000],
    [0, 0],
    [5, 5_000],
  ])('looks at the node by periodicUpdateInterval %s', (periodicUpdateInterval, lookEveryMs) => {
    expect(readSharedConfig(JSON.stringify({ periodicUpdateInterval, configList: [entry({})] }))).toMatchObject({
      lookEveryMs,
    });
  });
});
