import { join } from 'node:path';
import { type CdiDevice, CdiSpec } from '../cdi.ts';
import { removeDeviceInfo, writePlaceInfo } from '../device-info.ts';
import type { DeviceFacts } from '../facts.ts';
import { ailmentOf, Health } from '../health.ts';
import type { ContainerAnswer, ListedDevice } from '../kubelet/messages.ts';
import { type RdmaFiles, rdmaFilesIn } from '../rdma-files.ts';
import { type Resource, UnknownDevice } from '../resource.ts';
import type { NodeNow } from '../source.ts';
import { Watched } from '../watched.ts';
import type { SharedResource, SharedSelector } from './config.ts';
import { choosePlaces, deviceOf, placesOf } from './places.ts';

/** An RDMA device that containers share, and its files. */
export interface SharedDevice {
  readonly facts: DeviceFacts;
  readonly paths: readonly string[];
}

const PERMISSIONS = 'rwm';

/** As the Go plugin names devices to the runtime, whatever the resource's prefix: containers keep these names. */
const CDI_NAME = { prefix: 'nvidia.com', kind: 'net-rdma' } as const;
const CDI_PERMISSIONS = 'rw';
export const SHARED_CDI_FILES = 'nvidia.com_';

/** How a file of a resource is marked. */
export const cdiNameOf = (name: string): string => `${CDI_NAME.prefix}/${name}`;

/** As the Go plugin names it: without the prefix. */
export const sharedSocketOf = ({ name }: Pick<SharedResource, 'name'>): string => `${name}.sock`;

/** What a resource is told at each look. */
export interface SharedNow extends Pick<NodeNow, 'kernel' | 'now'> {
  /** places that containers have */
  readonly held: ReadonlySet<string>;
}

export interface SharedOptions {
  readonly root: string;
  /** device files are given by the runtime */
  readonly useCdi: boolean;
}

/** Which devices a resource has: those that have all files that programs need. */
export function sharedDevices(
  { selector }: SharedResource,
  devices: readonly DeviceFacts[],
  files: RdmaFiles,
): readonly SharedDevice[] {
  return devices
    .filter((facts) => facts.bus === 'pci' && facts.baseClass === '02' && isSelected(selector, facts))
    .map((facts) => ({ facts, paths: pathsOf(facts, files) }))
    .filter(({ paths }) => paths.length > 0);
}

function isSelected(selector: SharedSelector, { vendor, device, driver, netdev, linkType }: DeviceFacts): boolean {
  const isAmong = (wanted: readonly string[], value: string): boolean => wanted.length === 0 || wanted.includes(value);
  return (
    isAmong(selector.vendors, vendor) &&
    isAmong(selector.deviceIDs, device) &&
    isAmong(selector.drivers, driver) &&
    isAmong(selector.ifNames, netdev) &&
    isAmong(selector.linkTypes, linkType)
  );
}

/** Verbs, management datagrams and the connection manager are needed; others come along. */
function pathsOf({ rdmaDevices }: DeviceFacts, files: RdmaFiles): readonly string[] {
  const own = rdmaDevices.flatMap((name) => files.of(name));
  const has = (kind: string): boolean => own.some((file) => file.kind === kind);
  return has('umad') && has('uverbs') && files.manager !== '' ? [...own.map(({ path }) => path), files.manager] : [];
}

/** A resource of RDMA devices that all of its containers get, or some of them. */
export class SharedRdma implements Resource {
  readonly name: Resource['name'];
  readonly socketName: string;
  readonly devices: Watched<readonly ListedDevice[]>;
  readonly prefer?: NonNullable<Resource['prefer']>;
  private readonly resource: SharedResource;
  private readonly root: string;
  private readonly health = new Health();
  private found: readonly SharedDevice[];

  /** what the runtime has been told; undefined: it does not give the files */
  private readonly cdi: CdiSpec | undefined;

  /** @param root in front of `/sys`, `/dev` and `/var/run` */
  constructor(resource: SharedResource, devices: readonly DeviceFacts[], { root, useCdi }: SharedOptions) {
    this.name = { prefix: resource.prefix, name: resource.name };
    this.socketName = sharedSocketOf(resource);
    this.resource = resource;
    this.root = root;
    this.cdi = useCdi
      ? new CdiSpec(root, `${SHARED_CDI_FILES}${resource.name}.yaml`, {
          ...CDI_NAME,
          name: resource.name,
          permissions: CDI_PERMISSIONS,
        })
      : undefined;
    this.found = sharedDevices(resource, devices, rdmaFilesIn(root));
    this.devices = new Watched(this.listed());
    if (resource.perDevice) {
      this.prefer = async (request) => choosePlaces(request);
    }
  }

  /**
   * Takes what a new look at the node has found.
   *
   * @returns when to look again although nothing happens
   */
  update(devices: readonly DeviceFacts[], { held, now, kernel }: SharedNow): number {
    this.found = sharedDevices(this.resource, devices, rdmaFilesIn(this.root));
    for (const place of held) {
      this.tellMultus(place, true); // files below /var/run are lost by a reboot
    }
    const { health } = this.resource;
    const sysfs = join(this.root, 'sys');
    const ailments = this.found.map(({ facts }) => [facts.id, ailmentOf(facts, kernel, health, sysfs)] as const);
    const againMs = this.health.update(new Map(ailments), health, now);
    const next = this.listed();
    if (JSON.stringify(next) !== JSON.stringify(this.devices.value)) {
      this.devices.value = next;
    }
    return againMs;
  }

  /** Interfaces of its devices. */
  get netdevs(): readonly string[] {
    return this.found.flatMap(({ facts: { netdev } }) => (netdev === '' ? [] : [netdev]));
  }

  /**
   * Tells the runtime, which takes no name twice.
   *
   * @param told names that other resources have told it already
   * @returns those that this one tells
   */
  writeCdi(told: ReadonlySet<string>): readonly string[] {
    const own = cdiDevices(this.found).filter(({ id }) => !told.has(id));
    this.cdi?.write(own);
    return own.map(({ id }) => id);
  }

  /** It is configured no more. */
  end(): void {
    this.cdi?.remove();
  }

  /** Takes away what multus was told of places that no container has. */
  forget(held: ReadonlySet<string>): void {
    for (const { ID } of this.resource.perDevice ? this.devices.value : []) {
      if (!held.has(ID)) {
        removeDeviceInfo(this.root, this.name, ID);
      }
    }
  }

  /** Which device is below a place. */
  private tellMultus(place: string, onlyIfMissing: boolean): void {
    const device = this.resource.perDevice ? this.found.find(({ facts }) => facts.id === deviceOf(place)) : undefined;
    if (device !== undefined) {
      writePlaceInfo(this.root, { resource: this.name, place, facts: device.facts }, { onlyIfMissing });
    }
  }

  async allocate(ids: readonly string[]): Promise<ContainerAnswer> {
    const own = this.devicesOf(ids);
    for (const id of ids) {
      this.tellMultus(id, false);
    }
    if (this.cdi !== undefined) {
      return { envs: {}, devices: [], ...this.cdi.namesOf(cdiDevices(own)) };
    }
    const paths = new Set(own.flatMap((one) => one.paths));
    return {
      envs: {},
      devices: [...paths].map((path) => ({ containerPath: path, hostPath: path, permissions: PERMISSIONS })),
      annotations: {},
      cdiDevices: [],
    };
  }

  /** @throws UnknownDevice, Error when one is not there */
  private devicesOf(ids: readonly string[]): readonly SharedDevice[] {
    const name = `resource "${this.name.prefix}/${this.name.name}"`;
    const unknown = ids.find((id) => !this.devices.value.some(({ ID }) => ID === id));
    if (unknown !== undefined) {
      throw new UnknownDevice(`${name} has no place "${unknown}"`);
    }
    if (!this.resource.perDevice) {
      if (this.found.length === 0) {
        throw new Error(`${name} has no RDMA device at the moment`);
      }
      return this.found;
    }
    const wanted = new Set(ids.map(deviceOf));
    const gone = [...wanted].find((id) => !this.found.some(({ facts }) => facts.id === id));
    if (gone !== undefined) {
      throw new Error(`${name} has no RDMA device "${gone}" at the moment`);
    }
    return this.found.filter(({ facts }) => wanted.has(facts.id));
  }

  /**
   * The same places for as long as the program runs: without a device, or without one that is well, they are unhealthy, but
   * known to the kubelet.
   */
  private listed(): readonly ListedDevice[] {
    const { places, perDevice } = this.resource;
    const before = this.devices?.value ?? [];
    const ill = this.health.reasons;
    const own = this.found.map(({ facts: { id, numaNode } }) => ({ id, numaNode, isWell: !ill.has(id) }));
    if (perDevice) {
      return placesOf(own, places, before);
    }
    if (own.length === 0 && before.length === 0) {
      return [];
    }
    const health = own.some(({ isWell }) => isWell) ? 'Healthy' : 'Unhealthy';
    return Array.from({ length: places }, (_, at) => ({ ID: String(at), health }));
  }
}

const cdiDevices = (devices: readonly SharedDevice[]): readonly CdiDevice[] =>
  devices.map(({ facts, paths }) => ({
    id: facts.id,
    files: paths.map((path) => ({ containerPath: path, hostPath: path })),
  }));
