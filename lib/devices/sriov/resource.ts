import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CdiSpec } from '../cdi.ts';
import type { Companions } from '../companions.ts';
import { removeDeviceInfo, writeDeviceInfo } from '../device-info.ts';
import type { DeviceFacts, KernelFacts } from '../facts.ts';
import { ailmentOf, Health } from '../health.ts';
import type { ContainerAnswer, ListedDevice } from '../kubelet/messages.ts';
import { fullName, type ResourceName } from '../names.ts';
import { choose } from '../placement.ts';
import { type Resource, UnknownDevice } from '../resource.ts';
import { Watched } from '../watched.ts';
import { allocate } from './allocate.ts';
import type { DeviceKind, SriovResource } from './config.ts';
import { lacksRdma, machineAt, partsOf } from './container-parts.ts';
import type { Pool } from './select.ts';

const PERMISSIONS = 'rw';

const CDI_KINDS: Readonly<Record<DeviceKind, string>> = {
  netDevice: 'net-pci',
  accelerator: 'net-accel',
  auxNetDevice: 'net-sf',
};

/** What names of files of SR-IOV resources begin with. */
export const CDI_FILES = 'sriov-dp-';

/** As the Go plugin names it. */
export const sriovSocketOf = ({ prefix, name }: ResourceName): string => `${prefix}_${name}.sock`;

export interface PoolOptions {
  /** in front of `/sys`, `/dev` and `/var/run` */
  readonly root: string;
  /** device files are given by the runtime */
  readonly useCdi: boolean;
  /** how long an RDMA device that was in a pod may be on its way home; default 2 s */
  readonly rdmaMs?: number;
  /** what pods have of other resources; absent: nobody knows */
  readonly companions?: Companions;
}

/** What a pool is told at each look. */
export interface PoolNow {
  /** IDs of devices that containers have */
  readonly held: ReadonlySet<string>;
  /** monotonic milliseconds */
  readonly now: number;
  readonly kernel: KernelFacts;
}

/** How long a device that has gone stays in the list: drivers are bound anew, VFs made anew. */
export const GRACE_MS = 60_000;

const RDMA_MS = 2_000;
const RDMA_AGAIN_MS = 20;

/** A resource of SR-IOV functions and other devices on a bus. */
export class SriovPool implements Resource {
  readonly name: Resource['name'];
  readonly socketName: string;
  readonly devices: Watched<readonly ListedDevice[]>;
  readonly prefer?: NonNullable<Resource['prefer']>;
  private readonly root: string;
  private readonly rdmaMs: number;
  private readonly health = new Health();
  private readonly cdi: CdiSpec | undefined;
  private pool: Pool;
  /** since when devices have gone, by ID */
  private goneAt: ReadonlyMap<string, number> = new Map();
  /** what multus has been told of already */
  private told: ReadonlySet<string> = new Set();

  /** @throws CniError ioFailure */
  constructor(pool: Pool, { root, useCdi, companions, rdmaMs = RDMA_MS }: PoolOptions) {
    const { prefix, name } = pool.resource;
    this.name = { prefix, name };
    this.socketName = sriovSocketOf({ prefix, name });
    this.pool = pool;
    this.root = root;
    this.rdmaMs = rdmaMs;
    this.cdi = useCdi
      ? new CdiSpec(root, `${CDI_FILES}${prefix}-${CDI_KINDS[pool.resource.kind]}-${name}.yaml`, {
          prefix,
          kind: CDI_KINDS[pool.resource.kind],
          name,
          permissions: PERMISSIONS,
        })
      : undefined;
    this.writeCdi();
    this.devices = new Watched(listed(pool, new Map()));
    const { allocation } = pool.resource;
    const others = allocation === 'near' ? companions : undefined;
    void others?.begin();
    if (allocation !== '') {
      this.prefer = async (request) =>
        choose(allocation, this.placed(), request, await others?.of(fullName(this.name)));
    }
  }

  /** Whether it can go on by this configuration; else what the kubelet knows of it is not true any more. */
  isFor({ kind, allocation }: SriovResource): boolean {
    return kind === this.pool.resource.kind && allocation === this.pool.resource.allocation;
  }

  /**
   * Takes what a new look at the node has found. A device that has gone stays in the list while a container has it, and for
   * a while after: the kubelet may just be choosing it.
   *
   * @returns when to look again although nothing happens
   */
  update(pool: Pool, { held, now, kernel }: PoolNow): number {
    this.pool = pool;
    this.writeCdi();
    this.tellMissing(held);
    const wellAgainMs = this.lookAtHealth(kernel, now);
    const there = listed(pool, this.health.reasons);
    const ids = new Set(there.map(({ ID }) => ID));
    const gone = this.devices.value.filter(({ ID }) => !ids.has(ID));
    const goneAt = new Map(gone.map(({ ID }) => [ID, held.has(ID) ? now : (this.goneAt.get(ID) ?? now)]));
    const lasting = gone.filter(({ ID }) => now - (goneAt.get(ID) ?? now) < GRACE_MS);
    this.goneAt = new Map(lasting.map(({ ID }) => [ID, goneAt.get(ID) ?? now]));
    const next = [...there, ...lasting.map((device): ListedDevice => ({ ...device, health: 'Unhealthy' }))];
    if (JSON.stringify(next) !== JSON.stringify(this.devices.value)) {
      this.devices.value = next;
    }
    return Math.min(wellAgainMs, Math.min(...this.goneAt.values()) + GRACE_MS - now);
  }

  private lookAtHealth(kernel: KernelFacts, now: number): number {
    const { resource, devices } = this.pool;
    const sysfs = join(this.root, 'sys');
    const ailments = [...devices].map(
      ([id, { facts }]) => [id, ailmentOf(facts, kernel, resource.health, sysfs)] as const,
    );
    return this.health.update(new Map(ailments), resource.health, now);
  }

  /**
   * Takes the files away that no container needs.
   *
   * @param held undefined: not known
   * @param isConfigured it will be offered again by the next program: names that runtimes know must stay
   */
  end(held: ReadonlySet<string> | undefined, isConfigured: boolean): void {
    for (const { ID } of held === undefined ? [] : this.devices.value) {
      if (!held?.has(ID) && this.pool.resource.kind === 'netDevice') {
        removeDeviceInfo(this.root, this.name, ID);
      }
    }
    if (!isConfigured && held?.size === 0) {
      this.cdi?.remove();
    }
  }

  async allocate(ids: readonly string[]): Promise<ContainerAnswer> {
    await this.untilRdma(ids);
    const { resource, devices } = this.pool;
    const { envs, files, perDevice } = allocate(machineAt(this.root), this.pool, ids);
    if (resource.kind === 'netDevice') {
      for (const id of ids) {
        writeDeviceInfo(this.root, resource, devices.get(id) ?? missing(fullName(resource), id));
      }
    }
    if (this.cdi !== undefined) {
      this.writeCdi(); // files may have other numbers by now
      return { envs, devices: [], ...this.cdi.namesOf(perDevice) };
    }
    return {
      envs,
      devices: files.map((file) => ({ ...file, permissions: PERMISSIONS })),
      annotations: {},
      cdiDevices: [],
    };
  }

  /**
   * The pod that had an RDMA device may have ended just now; without its files a container could do nothing with it.
   *
   * @throws Error
   */
  private async untilRdma(ids: readonly string[]): Promise<void> {
    for (let leftMs = this.rdmaMs; ; leftMs -= RDMA_AGAIN_MS) {
      const { resource, devices } = this.pool;
      const machine = machineAt(this.root);
      const lacking = ids.find((id) => {
        const chosen = devices.get(id);
        return chosen !== undefined && lacksRdma(machine, resource, chosen);
      });
      if (lacking === undefined) {
        return;
      }
      if (leftMs <= 0) {
        throw new Error(
          `device "${lacking}" of resource "${fullName(this.name)}" has no RDMA device files at the moment: its RDMA device is in a pod, or gone`,
        );
      }
      await sleep(RDMA_AGAIN_MS);
    }
  }

  /** Files below `/var/run` are lost by a reboot, but containers keep their devices. */
  private tellMissing(held: ReadonlySet<string>): void {
    const { resource, devices } = this.pool;
    for (const id of resource.kind === 'netDevice' ? held : []) {
      const chosen = devices.get(id);
      if (chosen !== undefined && !this.told.has(id)) {
        writeDeviceInfo(this.root, resource, chosen, { onlyIfMissing: true });
      }
    }
    this.told = held;
  }

  private placed(): ReadonlyMap<string, DeviceFacts> {
    return new Map([...this.pool.devices].map(([id, { facts }]) => [id, facts]));
  }

  private writeCdi(): void {
    const machine = machineAt(this.root);
    const { resource, devices } = this.pool;
    this.cdi?.write([...devices].map(([id, chosen]) => ({ id, files: partsOf(machine, resource, chosen).files })));
  }
}

function missing(name: string, id: string): never {
  throw new UnknownDevice(`resource "${name}" has no device "${id}"`);
}

const listed = ({ resource, devices }: Pool, ill: ReadonlyMap<string, string>): readonly ListedDevice[] =>
  [...devices.values()].map(({ facts: { id, numaNode } }) => ({
    ID: id,
    health: ill.has(id) ? 'Unhealthy' : 'Healthy',
    ...(resource.hasTopology && numaNode !== undefined ? { topology: { nodes: [{ ID: numaNode }] } } : {}),
  }));
