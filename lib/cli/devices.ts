import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../cni/errors.ts';
import type { Scope } from '../cni/scope.ts';
import { discover } from '../devices/discovery.ts';
import type { DeviceFacts, KernelFacts } from '../devices/facts.ts';
import { ailmentOf } from '../devices/health.ts';
import { type Holder, heldBy, listHolders } from '../devices/kubelet/holders.ts';
import { fullName } from '../devices/names.ts';
import { readNodeFacts } from '../devices/node-facts.ts';
import { rdmaFilesIn } from '../devices/rdma-files.ts';
import { readSharedConfig } from '../devices/shared-rdma/config.ts';
import { deviceOf } from '../devices/shared-rdma/places.ts';
import { sharedDevices } from '../devices/shared-rdma/resource.ts';
import { readSriovConfig } from '../devices/sriov/config.ts';
import { assign } from '../devices/sriov/select.ts';
import { DEVICE_CONFIG_OPTIONS } from './doctor-devices.ts';
import { readOptions } from './options.ts';
import { count, table } from './table.ts';

/** A device of a resource, as people see it. */
export interface DeviceRow {
  readonly resource: string;
  readonly device: string;
  readonly driver: string;
  /** its interface, or that of its card; '' when neither is on the host */
  readonly interface: string;
  readonly numaNode: number | undefined;
  /** '' when it is well */
  readonly ailment: string;
  /** `namespace/pod container` */
  readonly holders: readonly string[];
}

/** What rows are made of. */
export interface Known {
  readonly root: string;
  readonly devices: readonly DeviceFacts[];
  readonly kernel: KernelFacts;
  readonly holders: readonly Holder[];
}

const ROOT = '/';

/** `braid devices`: looks for itself, so that it tells the same whether the device plugins run or not. */
export async function devices(args: readonly string[], scope: Scope, print: (line: string) => void): Promise<number> {
  const { values } = readOptions(args, {
    ...DEVICE_CONFIG_OPTIONS,
    json: { type: 'boolean', default: false },
  });
  const sysfs = join(ROOT, 'sys');
  const kernel = await readNodeFacts(scope.node.host, ROOT);
  const found = discover(sysfs, kernel);
  const faults = [...found.faults];
  const holders = await listHolders(join(values.kubelet, 'pod-resources', 'kubelet.sock')).catch((error: unknown) => {
    faults.push(`cannot tell who has devices: ${messageOf(error)}`);
    return [];
  });
  const known: Known = { root: ROOT, devices: found.devices, kernel, holders };
  const rows = [
    ...contentOf(values['config-file']).flatMap((text) => sriovRows(text, values['resource-prefix'], known)),
    ...contentOf(values['rdma-config-file']).flatMap((text) => sharedRows(text, known)),
  ];
  for (const fault of faults) {
    scope.log(fault);
  }
  for (const line of values.json ? [JSON.stringify(rows, null, 2)] : deviceTable(rows)) {
    print(line);
  }
  return faults.length > 0 ? 1 : 0;
}

const contentOf = (file: string): readonly string[] => (existsSync(file) ? [readFileSync(file, 'utf8')] : []);

/** @throws Error when the configuration cannot be used */
export function sriovRows(content: string, prefix: string, known: Known): readonly DeviceRow[] {
  const { root, devices: all, kernel, holders } = known;
  const held = heldBy(holders);
  return assign(readSriovConfig(content, prefix), all, held).flatMap(({ resource, devices: own }) => {
    const name = fullName(resource);
    const there = [...own.values()].map(({ facts }) => ({
      ...rowOf(name, facts, holders),
      ailment: ailmentOf(facts, kernel, resource.health, join(root, 'sys')) ?? '',
    }));
    const gone = [...(held.get(name) ?? [])].filter((id) => !own.has(id));
    return [...there, ...gone.map((id) => goneRow(name, id, holders))].sort((a, b) => (a.device < b.device ? -1 : 1));
  });
}

/** A container has it, but the node does not. */
const goneRow = (resource: string, id: string, holders: readonly Holder[]): DeviceRow => ({
  resource,
  device: id,
  driver: '',
  interface: '',
  numaNode: undefined,
  ailment: 'it has gone',
  holders: holdersOf(resource, id, holders),
});

const holdersOf = (resource: string, id: string, holders: readonly Holder[]): readonly string[] =>
  holders.filter((one) => one.resource === resource && one.ids.includes(id)).map(textOf);

/** One row for each device, which all holders of a place share, or of a place of it. */
export function sharedRows(content: string, { root, devices: all, kernel, holders }: Known): readonly DeviceRow[] {
  const files = rdmaFilesIn(root);
  return readSharedConfig(content).resources.flatMap((resource) =>
    sharedDevices(resource, all, files).map(({ facts }) => {
      const name = fullName(resource);
      const sharers = holders
        .filter((one) => one.resource === name)
        .filter(({ ids }) => !resource.perDevice || ids.some((id) => deviceOf(id) === facts.id))
        .map(textOf);
      const ailment = ailmentOf(facts, kernel, resource.health, join(root, 'sys')) ?? '';
      return { ...rowOf(name, facts, []), ailment, holders: sharers };
    }),
  );
}

const textOf = ({ namespace, pod, container }: Holder): string => `${namespace}/${pod} ${container}`;

const rowOf = (resource: string, facts: DeviceFacts, holders: readonly Holder[]): DeviceRow => ({
  resource,
  device: facts.id,
  driver: facts.driver,
  interface: facts.netdev || facts.pfName,
  numaNode: facts.numaNode,
  ailment: '',
  holders: holdersOf(resource, facts.id, holders),
});

/** What is printed for people. */
export function deviceTable(rows: readonly DeviceRow[]): readonly string[] {
  if (rows.length === 0) {
    return ['no resource has a device'];
  }
  const head = ['RESOURCE', 'DEVICE', 'DRIVER', 'INTERFACE', 'NUMA', 'HEALTH', 'HELD BY'];
  const lines = rows.map((row) => [
    row.resource,
    row.device,
    row.driver,
    row.interface,
    row.numaNode === undefined ? '' : String(row.numaNode),
    row.ailment || 'healthy',
    row.holders.join(', '),
  ]);
  const held = rows.filter(({ holders }) => holders.length > 0).length;
  return [...table(head, lines), '', `${count(rows.length, 'device')}, ${held} held`];
}
