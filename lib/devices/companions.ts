/** Where the other devices of a pod are that is just being given some: GPUs, and functions of other resources. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isPciAddress } from '../sys/bus-device.ts';
import { namesIn, placeOf, textOf } from './bus-folder.ts';
import type { Holder } from './kubelet/holders.ts';
import type { Placed } from './placement.ts';

export interface CompanionParts {
  /** who has what, by the kubelet's word */
  readonly list: () => Promise<readonly Holder[]>;
  /** in front of `/sys` and `/proc` */
  readonly root: string;
  /** monotonic milliseconds */
  readonly now: () => number;
}

/** A kubelet gives a pod its devices one resource after another. */
const ADMISSION_MS = 10_000;
/** As NVIDIA's driver tells of its devices. */
const GPUS = 'proc/driver/nvidia/gpus';
const UUID = /^GPU UUID:\s*(\S+)/m;

/**
 * The kubelet does not say for which pod it asks. It admits one pod at a time, and tells at once what that has got: so it
 * is the pod that is new, and has devices, but none of the resource that is asked for. Where several are so, nobody knows.
 */
export class Companions {
  private readonly parts: CompanionParts;
  /** when pods were seen first */
  private seen: ReadonlyMap<string, number> | undefined;

  constructor(parts: CompanionParts) {
    this.parts = parts;
  }

  /** Learns who is there, so that whoever comes later is new. Never rejects. */
  async begin(): Promise<void> {
    const holders = await this.listed();
    this.seen ??= new Map(holders.map((one) => [keyOf(one), Number.NEGATIVE_INFINITY]));
  }

  /** Devices of the pod that is to get some of a resource. Never rejects: a choice is a hint only. */
  async of(resource: string): Promise<readonly Placed[]> {
    const { seen } = this;
    const now = this.parts.now();
    const pods = Map.groupBy(await this.listed(), keyOf);
    this.seen = new Map([...pods.keys()].map((key) => [key, seen?.get(key) ?? now]));
    const isAdmitted = (key: string): boolean => now - (this.seen?.get(key) ?? now) < ADMISSION_MS;
    const candidates = [...pods]
      .filter(([key, own]) => isAdmitted(key) && own.every((one) => one.resource !== resource))
      .map(([, own]) => own);
    const [pod = []] = seen !== undefined && candidates.length === 1 ? candidates : [];
    return pod.flatMap(({ ids }) => ids).flatMap((id) => this.place(id) ?? []);
  }

  private async listed(): Promise<readonly Holder[]> {
    try {
      return await this.parts.list();
    } catch {
      return [];
    }
  }

  /** undefined: it does not say where it is plugged in. */
  private place(id: string): Placed | undefined {
    const sysfs = join(this.parts.root, 'sys');
    const pciAddress = isPciAddress(id) ? id : this.gpuAt(id.replace(/::\d+$/, '')); // shared ones have a number more
    const folder = join(sysfs, 'bus/pci/devices', pciAddress ?? '');
    if (pciAddress === undefined || !existsSync(folder)) {
      return undefined;
    }
    const numaNode = /^\d+$/.exec(textOf(join(folder, 'numa_node')))?.[0];
    return {
      ...{ id, pciAddress, pfAddress: '', place: placeOf(sysfs, 'pci', pciAddress) },
      numaNode: numaNode === undefined ? undefined : Number(numaNode),
    };
  }

  private gpuAt(uuid: string): string | undefined {
    const folder = join(this.parts.root, GPUS);
    return namesIn(folder).find((address) => {
      const file = join(folder, address, 'information');
      return existsSync(file) && UUID.exec(readFileSync(file, 'utf8'))?.[1] === uuid;
    });
  }
}

const keyOf = ({ namespace, pod }: Holder): string => `${namespace}/${pod}`;
