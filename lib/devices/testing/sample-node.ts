/** A node with devices of all kinds, as files. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { type KernelFacts, NOTHING_KNOWN } from '../facts.ts';

interface Card {
  readonly address: string;
  /** `8086:10c9` */
  readonly id: string;
  readonly baseClass: string;
  readonly driver?: string;
  readonly numa?: number;
  readonly netdev?: string;
  readonly rdma?: string;
  readonly iommuGroup?: number;
  readonly uio?: string;
  readonly vfs?: readonly string[];
  readonly totalVfs?: number;
  readonly pf?: string;
}

const CARDS: readonly Card[] = [
  { address: '0000:00:1f.0', id: '8086:2918', baseClass: '06', numa: -1 },
  {
    address: '0000:01:00.0',
    id: '8086:10c9',
    baseClass: '02',
    driver: 'igb',
    numa: 0,
    netdev: 'eth0',
    totalVfs: 7,
    vfs: ['0000:01:10.0', '0000:01:10.2', '0000:01:10.4', '0000:01:10.6'],
  },
  ...(['0', '2'] as const).map((at, number) => ({
    address: `0000:01:10.${at}`,
    id: '8086:10ca',
    baseClass: '02',
    driver: 'igbvf',
    numa: 0,
    netdev: `eth0v${number}`,
    pf: '0000:01:00.0',
  })),
  ...(['4', '6'] as const).map((at, number) => ({
    address: `0000:01:10.${at}`,
    id: '8086:10ca',
    baseClass: '02',
    driver: 'vfio-pci',
    numa: 0,
    iommuGroup: 12 + number,
    pf: '0000:01:00.0',
  })),
  { address: '0000:02:00.0', id: '8086:10c9', baseClass: '02', driver: 'igb', numa: -1, netdev: 'eth1', totalVfs: 7 },
  {
    address: '0000:03:00.0',
    id: '15b3:101d',
    baseClass: '02',
    driver: 'mlx5_core',
    numa: 1,
    netdev: 'ens3np0',
    rdma: 'mlx5_0',
    totalVfs: 8,
    vfs: ['0000:03:00.1', '0000:03:00.2'],
  },
  ...[1, 2].map((at) => ({
    address: `0000:03:00.${at}`,
    id: '15b3:101e',
    baseClass: '02',
    driver: 'mlx5_core',
    numa: 1,
    netdev: `ens3v${at - 1}`,
    rdma: `mlx5_${at + 1}`,
    pf: '0000:03:00.0',
  })),
  {
    address: '0000:04:00.0',
    id: '15b3:101d',
    baseClass: '02',
    driver: 'mlx5_core',
    numa: 1,
    netdev: 'ens4np0',
    rdma: 'mlx5_1',
    totalVfs: 8,
  },
  { address: '0000:05:00.0', id: '8086:0d90', baseClass: '12', driver: 'vfio-pci', numa: 0, iommuGroup: 20 },
  { address: '0000:06:00.0', id: '8086:154c', baseClass: '02', driver: 'igb_uio', uio: 'uio0' },
  { address: '0000:07:00.0', id: '8086:1521', baseClass: '02', driver: 'igb', netdev: 'mgmt0' },
];

const DEVICES = 'sys/devices/pci0000:00';
const SCALABLE = 'mlx5_core.sf.4';

/** Makes `sys` and `dev` below a folder. */
export function makeSampleNode(root: string): void {
  const node = new Tree(root);
  for (const card of CARDS) {
    addCard(node, card);
  }
  const scalable = `${DEVICES}/0000:04:00.0/${SCALABLE}`;
  node.file(`${scalable}/sfnum`, '88');
  node.folder(`${scalable}/net/ens4s88`);
  node.link(`sys/bus/auxiliary/devices/${SCALABLE}`, scalable);
  for (const number of [0, 1, 2, 3]) {
    node.file(`sys/class/infiniband_mad/issm${number}/ibdev`, `mlx5_${number}`);
    node.file(`sys/class/infiniband_mad/umad${number}/ibdev`, `mlx5_${number}`);
    node.file(`sys/class/infiniband_verbs/uverbs${number}/ibdev`, `mlx5_${number}`);
  }
  for (const path of ['dev/infiniband/rdma_cm', 'dev/vhost-net', 'dev/net/tun']) {
    node.file(path, '');
  }
}

/** What the kernel would tell of it: the node's own card is `mgmt0`. */
export const sampleKernel = (more: Partial<KernelFacts> = {}): KernelFacts => ({
  ...NOTHING_KNOWN,
  linkTypes: new Map(
    [...CARDS.flatMap(({ netdev }) => netdev ?? []), 'ens4s88'].map((name): [string, string] => [name, 'ether']),
  ),
  routed: new Set(['mgmt0']),
  ...more,
});

function addCard(node: Tree, card: Card): void {
  const folder = `${DEVICES}/${card.address}`;
  const [vendor = '', device = ''] = card.id.toUpperCase().split(':');
  node.file(`${folder}/modalias`, `pci:v0000${vendor}d0000${device}sv00008086sd00000001bc${card.baseClass}sc00i00`);
  node.link(`sys/bus/pci/devices/${card.address}`, folder);
  const files: Readonly<Record<string, number | undefined>> = {
    numa_node: card.numa,
    sriov_totalvfs: card.totalVfs,
    sriov_numvfs: card.totalVfs === undefined ? undefined : (card.vfs?.length ?? 0),
  };
  for (const [name, value] of Object.entries(files)) {
    if (value !== undefined) {
      node.file(`${folder}/${name}`, String(value));
    }
  }
  if (card.driver !== undefined) {
    node.folder(`sys/bus/pci/drivers/${card.driver}`);
    node.link(`${folder}/driver`, `sys/bus/pci/drivers/${card.driver}`);
  }
  if (card.iommuGroup !== undefined) {
    node.folder(`sys/kernel/iommu_groups/${card.iommuGroup}`);
    node.link(`${folder}/iommu_group`, `sys/kernel/iommu_groups/${card.iommuGroup}`);
  }
  for (const [below, name] of Object.entries({ net: card.netdev, infiniband: card.rdma, uio: card.uio })) {
    if (name !== undefined) {
      node.folder(`${folder}/${below}/${name}`);
    }
  }
  for (const [number, vf] of (card.vfs ?? []).entries()) {
    node.link(`${folder}/virtfn${number}`, `${DEVICES}/${vf}`);
  }
  if (card.pf !== undefined) {
    node.link(`${folder}/physfn`, `${DEVICES}/${card.pf}`);
  }
}

/** Files below a root; links are relative, as those of sysfs. */
class Tree {
  private readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  folder(path: string): void {
    mkdirSync(join(this.root, path), { recursive: true });
  }

  file(path: string, content: string): void {
    this.folder(dirname(path));
    writeFileSync(join(this.root, path), `${content}\n`);
  }

  link(path: string, target: string): void {
    this.folder(dirname(path));
    symlinkSync(relative(dirname(path), target), join(this.root, path));
  }
}
