/**
 * A node with cards that are not there: its `/sys` and `/dev` are made up, but for what its daemons need. The interfaces
 * of the virtual functions are real ones, and so are their pods'.
 */
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Node } from './node.ts';

/** Virtual functions of `ens0`: with an interface each, and for programs. */
export const VFS: readonly string[] = ['0000:65:02.0', '0000:65:02.1', '0000:65:02.2'];
export const NICS = ['nic0', 'nic1', 'nic2'] as const;
export const DPDK = '0000:65:02.3';
/** An RDMA device on `rail0`. */
export const HCA = '0000:66:00.0';
/** Another one. */
export const OTHER_HCA = '0000:69:00.0';

/** Two more cards with four functions each, which nothing but a choice among them is for. */
export const CARDS: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  ['0000:67', '0000:68'].map((bus) => [`${bus}:00.0`, [0, 1, 2, 3].map((number) => `${bus}:02.${number}`)]),
);
export const CARD_DRIVER = 'octeon_vf';

const MADE = '/run/made';
const HOST = 'sys/devices/pci0000:64';
const BUS = 'sys/bus/pci/devices';

/** Files have content, folders none, links begin with `->`. */
type Tree = Readonly<Record<string, string>>;

const functionOf = (address: string, id: string, driver: string, more: Tree = {}): Tree => ({
  [`${BUS}/${address}`]: `->../../../devices/pci0000:64/${address}`,
  ...Object.fromEntries(
    Object.entries({
      modalias: `pci:v0000${id.slice(0, 4)}d0000${id.slice(5)}sv00008086sd00000001bc02sc00i00`,
      numa_node: '0',
      driver: `->../../../bus/pci/drivers/${driver}`,
      ...more,
    }).map(([name, content]) => [`${HOST}/${address}/${name}`, content]),
  ),
});

const PF = '0000:65:00.0';
const VF: Tree = { physfn: `->../${PF}` };

const cardOf = (pf: string, vfs: readonly string[]): Tree => ({
  ...functionOf(pf, '177d:b200', 'octeon', {
    sriov_totalvfs: String(vfs.length),
    sriov_numvfs: String(vfs.length),
    ...Object.fromEntries(vfs.map((vf, number) => [`virtfn${number}`, `->../${vf}`])),
  }),
  ...Object.assign({}, ...vfs.map((vf) => functionOf(vf, '177d:b203', CARD_DRIVER, { physfn: `->../${pf}` }))),
});

const verbsOf = (number: number): Tree =>
  Object.fromEntries(
    ['infiniband_verbs/uverbs', 'infiniband_mad/umad', 'infiniband_mad/issm'].map((name) => [
      `sys/class/${name}${number}/ibdev`,
      `mlx5_${number}`,
    ]),
  );

const TREE: Tree = {
  ...functionOf(PF, '8086:1592', 'ice', {
    'net/ens0': '',
    sriov_totalvfs: '8',
    sriov_numvfs: '4',
    ...Object.fromEntries([...VFS, DPDK].map((address, number) => [`virtfn${number}`, `->../${address}`])),
  }),
  ...Object.assign(
    {},
    ...VFS.map((vf, number) => functionOf(vf, '8086:1889', 'iavf', { ...VF, [`net/${NICS[number]}`]: '' })),
  ),
  ...functionOf(DPDK, '8086:1889', 'vfio-pci', { ...VF, iommu_group: '->../../../kernel/iommu_groups/12' }),
  ...functionOf(HCA, '15B3:101D', 'mlx5_core', { 'net/rail0': '', 'infiniband/mlx5_0': '' }),
  ...functionOf(OTHER_HCA, '15B3:101D', 'mlx5_core', { 'net/rail1': '', 'infiniband/mlx5_1': '' }),
  ...Object.assign({}, ...Object.entries(CARDS).map(([pf, vfs]) => cardOf(pf, vfs))),
  ...verbsOf(0),
  ...verbsOf(1),
};

/** What a node's daemons want of the real ones; device files that do nothing; a card whose carrier can be taken. */
const MOUNT = `
cd ${MADE}
for name in fs kernel module class/net devices/system devices/virtual; do
  mkdir -p sys/$name
  mount --rbind /sys/$name sys/$name
done
mkdir -p sys/block dev
for path in /dev/*; do
  if [ -d $path ] && [ ! -L $path ]; then
    mkdir dev/\${path##*/}
    mount --rbind $path dev/\${path##*/}
  else
    cp -a $path dev/
  fi
done
mkdir -p dev/vfio dev/infiniband
for name in vfio/vfio vfio/12 infiniband/rdma_cm infiniband/{uverbs,umad,issm}{0,1}; do
  mknod dev/$name c 1 3
done
mount --rbind dev /dev
mount --rbind sys /sys
ip link add ens0 type bridge forward_delay 0
ip link add wire0 type veth peer name wire1
ip link set wire0 master ens0
for link in wire1 wire0 ens0; do ip link set $link up; done
`;

/** The cards of a node. */
export class MadeDevices {
  private readonly node: Node;

  private constructor(node: Node) {
    this.node = node;
  }

  static async on(node: Node): Promise<MadeDevices> {
    for (const [name, content] of Object.entries(TREE)) {
      const path = join(node.pathHere(MADE), name);
      mkdirSync(content === '' ? path : dirname(path), { recursive: true });
      if (content.startsWith('->')) {
        symlinkSync(content.slice(2), path);
      } else if (content !== '') {
        writeFileSync(path, `${content}\n`);
      }
    }
    await node.run(node.entering(['bash', '-euc', MOUNT]));
    return new MadeDevices(node);
  }

  /** A device is lost, or is back; the kernel tells of it. */
  async lose(address: string): Promise<void> {
    this.rename(join(BUS, address), join('away', address));
    await this.tell();
  }

  async return(address: string): Promise<void> {
    this.rename(join('away', address), join(BUS, address));
    await this.tell();
  }

  /** As an interface does that goes into a pod, and comes home. */
  hideInterface(address: string): void {
    this.rename(join(HOST, address, 'net'), join('away', `${address}-net`));
  }

  showInterface(address: string): void {
    this.rename(join('away', `${address}-net`), join(HOST, address, 'net'));
  }

  /** Of the card with the virtual functions. */
  async setCarrier(state: 'up' | 'down'): Promise<void> {
    await this.node.run(this.node.entering(['ip', 'link', 'set', 'wire1', state]));
  }

  /** Events of a bus that is made up there are none, so there are some of a link. */
  private async tell(): Promise<void> {
    for (const what of ['add told0 type bridge', 'delete told0']) {
      await this.node.run(this.node.entering(['ip', 'link', ...what.split(' ')]));
    }
  }

  private rename(from: string, to: string): void {
    const root = this.node.pathHere(MADE);
    mkdirSync(join(root, dirname(to)), { recursive: true });
    renameSync(join(root, from), join(root, to));
  }
}
