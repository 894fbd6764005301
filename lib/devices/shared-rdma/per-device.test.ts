/** A resource of which a container gets certain RDMA devices, not all. */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Temporary, temporaryFolder } from '../../sys/testing/temporary.ts';
import { discover } from '../discovery.ts';
import type { Resource } from '../resource.ts';
import { makeSampleNode, sampleKernel } from '../testing/sample-node.ts';
import { choosePlaces } from './places.ts';
import { SharedRdmaSource } from './source.ts';

const HCA = { resourceName: 'hca', rdmaHcaMax: 2, perDevice: true, selectors: { deviceIDs: ['101d'] } };
const [FIRST, SECOND] = ['0000:03:00.0', '0000:04:00.0'] as const;
const INFOS = 'var/run/k8s.cni.cncf.io/devinfo/dp';
const ID = 'rdma/hca';

class Lab implements Disposable {
  readonly folder: Temporary = temporaryFolder();
  readonly source: SharedRdmaSource;
  /** of the second */
  hasCarrier = true;
  now = 0;

  constructor(useCdi = false) {
    makeSampleNode(this.folder.path);
    this.source = new SharedRdmaSource('config.json', { root: this.folder.path, useCdi });
    this.configure(HCA);
  }

  configure(...configList: readonly object[]): void {
    this.source.configure(JSON.stringify({ configList }));
  }

  look(...held: readonly string[]): Resource {
    const kernel = sampleKernel({ links: new Map([['ens4np0', { isUp: true, hasCarrier: this.hasCarrier }]]) });
    const { devices } = discover(join(this.folder.path, 'sys'), kernel);
    const looked = this.source.look({ devices, kernel, held: new Map([[ID, new Set(held)]]), now: this.now });
    return looked.resources[0] ?? expect.fail('no resource');
  }

  listed(...held: readonly string[]): readonly string[] {
    return this.look(...held).devices.value.map(({ ID: id, health }) => (health === 'Healthy' ? id : `${id}!`));
  }

  infos(): readonly string[] {
    const folder = join(this.folder.path, INFOS);
    return existsSync(folder) ? readdirSync(folder).sort() : [];
  }

  [Symbol.dispose](): void {
    this.folder[Symbol.dispose]();
  }
}

const fileOf = (place: string): string => `rdma-hca-${place}-device.json`;

describe('RDMA devices that containers share one by one', () => {
  it('have places of their own, with their NUMA nodes', () => {
    using lab = new Lab();
    const topology = { nodes: [{ ID: 1 }] };
    expect(lab.look().devices.value).toEqual(
      [`${FIRST}-0`, `${FIRST}-1`, `${SECOND}-0`, `${SECOND}-1`].map((place) => ({
        ID: place,
        health: 'Healthy',
        topology,
      })),
    );
  });

  it('give a container the files of those that it gets, and tell multus the card below', async () => {
    using lab = new Lab();
    const { devices } = await lab.look().allocate([`${SECOND}-1`]);
    const names = ['issm1', 'umad1', 'uverbs1', 'rdma_cm'];
    expect(devices).toEqual(
      names
        .map((name) => `/dev/infiniband/${name}`)
        .map((path) => ({
          containerPath: path,
          hostPath: path,
          permissions: 'rwm',
        })),
    );
    expect(lab.infos()).toEqual([fileOf(`${SECOND}-1`)]);
    expect(JSON.parse(readFileSync(join(lab.folder.path, INFOS, fileOf(`${SECOND}-1`)), 'utf8'))).toEqual({
      type: 'pci',
      version: '1.1.0',
      pci: { 'pci-address': SECOND, 'rdma-device': 'mlx5_1' },
    });
    await expect(lab.look().allocate([`${SECOND}-2`])).rejects.toThrow(
      `resource "rdma/hca" has no place "${SECOND}-2"`,
    );
  });

  it('are named to the runtime one by one', async () => {
    using lab = new Lab(true);
    expect(await lab.look().allocate([`${FIRST}-0`])).toMatchObject({
      devices: [],
      cdiDevices: [{ name: `nvidia.com/net-rdma=${FIRST}` }],
    });
  });

  it('stay listed, unhealthy, when they have gone', async () => {
    using lab = new Lab();
    lab.look();
    rmSync(join(lab.folder.path, 'sys/class/infiniband_verbs/uverbs1'), { recursive: true });
    expect(lab.listed()).toEqual([`${FIRST}-0`, `${FIRST}-1`, `${SECOND}-0!`, `${SECOND}-1!`]);
    const why = `resource "rdma/hca" has no RDMA device "${SECOND}" at the moment`;
    await expect(lab.look().allocate([`${SECOND}-0`])).rejects.toThrow(why);
  });

  it('are unhealthy while their card has no carrier, where that is asked for, and until it has lasted', () => {
    using lab = new Lab();
    const all = [`${FIRST}-0`, `${FIRST}-1`, `${SECOND}-0`, `${SECOND}-1`];
    lab.hasCarrier = false;
    expect(lab.listed()).toEqual(all);
    const health = { link: true, settleSeconds: 3 };
    lab.configure({ ...HCA, health });
    const ill = [`${FIRST}-0`, `${FIRST}-1`, `${SECOND}-0!`, `${SECOND}-1!`];
    expect(lab.listed()).toEqual(ill);
    lab.hasCarrier = true;
    expect(lab.listed()).toEqual(ill);
    lab.now += 3_000;
    expect(lab.listed()).toEqual(all);
    lab.configure({ ...HCA, perDevice: false, health });
    lab.hasCarrier = false;
    expect(lab.listed()).toEqual(['0', '1']); // the other one is well
    lab.configure({ ...HCA, perDevice: false, health, selectors: { ifNames: ['ens4np0'] } });
    expect(lab.listed()).toEqual(['0!', '1!']);
  });

  it('are told to multus again after a reboot, and no more when no container has them', async () => {
    using lab = new Lab();
    lab.look(`${FIRST}-1`);
    expect(lab.infos()).toEqual([fileOf(`${FIRST}-1`)]);
    await lab.look(`${FIRST}-1`).allocate([`${SECOND}-0`]);
    lab.source.end(undefined);
    expect(lab.infos()).toHaveLength(2);
    lab.source.end(new Map([[ID, new Set([`${SECOND}-0`])]]));
    expect(lab.infos()).toEqual([fileOf(`${SECOND}-0`)]);
    lab.configure({ ...HCA, resourceName: 'other' });
    lab.look();
    expect(lab.infos()).toEqual([fileOf(`${SECOND}-0`)]); // a container has it
  });
});

describe('places for a container that may choose', () => {
  const all = ['a-0', 'a-1', 'a-2', 'b-0', 'b-1', 'c-0'];
  it.each<[count: number, must: readonly string[], available: readonly string[], expected: readonly string[]]>([
    [1, [], all, ['a-0']],
    [2, [], all, ['a-0', 'b-0']],
    [4, [], all, ['a-0', 'b-0', 'c-0', 'a-1']],
    [2, ['a-2'], all, ['a-2', 'b-0']],
    [1, [], ['a-0', 'b-0', 'b-1'], ['b-0']],
    [3, [], ['a-0', 'a-1'], ['a-0', 'a-1']],
  ])('%i, with %j, of %j', (allocationSize, mustIncludeDeviceIDs, availableDeviceIDs, expected) => {
    expect(choosePlaces({ allocationSize, mustIncludeDeviceIDs, availableDeviceIDs })).toEqual(expected);
  });
});
