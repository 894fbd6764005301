/** What a container gets with a device: device files, and what it is told of them. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { DeviceFacts } from '../facts.ts';
import { type RdmaFiles, rdmaFilesIn } from '../rdma-files.ts';
import type { SriovResource } from './config.ts';
import type { Chosen } from './select.ts';

/** A device file. */
export interface DeviceFile {
  readonly containerPath: string;
  readonly hostPath: string;
}

/** A device's part of an allocation. */
export interface DeviceParts {
  readonly files: readonly DeviceFile[];
  /** by provider and key: `vfio`, `dev-mount`, `/dev/vfio/12` */
  readonly info: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** What is read anew for each allocation: numbers of files change when drivers are bound. */
export interface Machine {
  /** in front of `/sys` and `/dev`; '' for the real ones */
  readonly root: string;
  readonly rdmaFiles: RdmaFiles;
}

export const machineAt = (root: string): Machine => ({ root, rdmaFiles: rdmaFilesIn(root) });

interface Part {
  readonly name: string;
  readonly keys: Readonly<Record<string, string>>;
  readonly files?: readonly DeviceFile[];
}

/** What a container gets with one device; providers in the order in which the Go plugin asks them. */
export function partsOf(machine: Machine, resource: SriovResource, { facts, selector }: Chosen): DeviceParts {
  const extra = { ...resource.additionalInfo['*'], ...resource.additionalInfo[facts.pciAddress] };
  const parts: readonly (Part | undefined)[] = [
    { name: 'generic', keys: { deviceID: facts.id } },
    facts.driver === 'vfio-pci' ? vfio(machine, facts) : undefined,
    ['uio', 'igb_uio'].includes(facts.driver) ? uio(machine, facts) : undefined,
    Object.keys(resource.additionalInfo).length > 0 ? { name: 'extra', keys: extra } : undefined,
    selector.vdpaType === '' ? undefined : vdpa(facts),
    isWithRdma(resource, { facts, selector }) ? rdma(machine, facts) : undefined,
    selector.needVhostNet && resource.kind !== 'accelerator' ? vhostNet(machine) : undefined,
  ];
  const there = parts.filter((part) => part !== undefined);
  return {
    files: there.flatMap(({ files = [] }) => files),
    info: Object.fromEntries(there.map(({ name, keys }) => [name, keys])),
  };
}

const isWithRdma = ({ kind }: SriovResource, { facts, selector }: Chosen): boolean =>
  selector.isRdma && facts.isRdma && kind !== 'accelerator';

/** Whether a container is to use RDMA with a device, and there is no file of it, as of an RDMA device that a pod has. */
export const lacksRdma = ({ rdmaFiles }: Machine, resource: SriovResource, chosen: Chosen): boolean =>
  isWithRdma(resource, chosen) && chosen.facts.rdmaDevices.every((name) => rdmaFiles.of(name).length === 0);

const same = (path: string): DeviceFile => ({ containerPath: path, hostPath: path });

const folderOf = ({ root }: Machine, { bus, id }: DeviceFacts): string => join(root, 'sys/bus', bus, 'devices', id);

const VFIO = '/dev/vfio';

function vfio(machine: Machine, facts: DeviceFacts): Part {
  const common = same(`${VFIO}/vfio`);
  const folder = join(folderOf(machine, facts), 'iommu_group');
  const group = orNone(() => basename(readlinkSync(folder)));
  if (group === undefined) {
    return { name: 'vfio', keys: { mount: common.hostPath }, files: [common] };
  }
  const hasIommu = orNone(() => readFileSync(join(folder, 'name'), 'utf8').trim()) !== 'vfio-noiommu';
  const own = {
    containerPath: `${VFIO}/${group}`,
    hostPath: hasIommu ? `${VFIO}/${group}` : `${VFIO}/noiommu-${group}`,
  };
  return {
    name: 'vfio',
    keys: { mount: common.hostPath, 'dev-mount': own.containerPath },
    files: [common, own],
  };
}

function uio(machine: Machine, facts: DeviceFacts): Part {
  const name = orNone(() => readdirSync(join(folderOf(machine, facts), 'uio')).sort()[0]);
  const file = name === undefined ? undefined : same(`/dev/${name}`);
  return {
    name: 'uio',
    keys: file === undefined ? {} : { mount: file.hostPath },
    files: file === undefined ? [] : [file],
  };
}

function vdpa({ vdpa: device }: DeviceFacts): Part {
  const file = device === undefined || device.node === '' ? undefined : same(`/dev/${device.node}`);
  return {
    name: 'vdpa',
    keys: file === undefined ? {} : { mount: file.hostPath },
    files: file === undefined ? [] : [file],
  };
}

function rdma({ rdmaFiles }: Machine, { rdmaDevices }: DeviceFacts): Part {
  const own = rdmaDevices.flatMap((device) => rdmaFiles.of(device));
  const manager = rdmaFiles.manager === '' ? [] : [rdmaFiles.manager];
  return {
    name: 'rdma',
    keys: {
      ...Object.fromEntries(own.map(({ kind, path }) => [kind, path])),
      ...(rdmaFiles.manager === '' ? {} : { rdma_cm: rdmaFiles.manager }),
      ...(rdmaDevices[0] === undefined ? {} : { rdma_dev: rdmaDevices[0] }),
    },
    files: [...own.map(({ path }) => path), ...manager].map(same),
  };
}

const VHOST_NET = '/dev/vhost-net';
const TUN = '/dev/net/tun';

function vhostNet({ root }: Machine): Part | undefined {
  if (!existsSync(join(root, VHOST_NET))) {
    return undefined;
  }
  return {
    name: 'vhost',
    keys: { 'net-mount': VHOST_NET, 'tun-mount': TUN },
    files: existsSync(join(root, TUN)) ? [VHOST_NET, TUN].map(same) : [],
  };
}

function orNone<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}
