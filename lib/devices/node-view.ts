import { statSync } from 'node:fs';
import { join } from 'node:path';
import { type DeviceName, deviceNames, readDevice, type SysfsFacts, withKernel } from './discovery.ts';
import type { DeviceFacts, KernelFacts } from './facts.ts';
import type { Changes } from './kernel-events.ts';
import { PhysicalFunctions } from './physical-functions.ts';

export interface NodeLook {
  readonly devices: readonly DeviceFacts[];
  /** devices that are left out: one sentence each */
  readonly faults: readonly string[];
}

interface Known {
  /** undefined: nothing to hand out */
  readonly facts: SysfsFacts | undefined;
  readonly fault: string | undefined;
  /** changes when another device takes its place */
  readonly inode: number | undefined;
  linkType: string;
}

/**
 * What a node has, look by look: what is in a pod shows neither interface nor RDMA device, but is still what it was. Only
 * what has changed is read again, and the functions of a card with it.
 */
export class NodeView {
  private readonly sysfs: string;
  private known: ReadonlyMap<string, Known> = new Map();
  private eswitchModes: KernelFacts['eswitchModes'] = new Map();

  /** @param root in front of `/sys` */
  constructor(root: string) {
    this.sysfs = join(root, 'sys');
  }

  /** @param changes what may have changed since the look before */
  look(kernel: KernelFacts, changes: Changes = 'all'): NodeLook {
    const functions = new PhysicalFunctions(this.sysfs, kernel.eswitchModes);
    const stale = this.staleBy(kernel, changes);
    this.eswitchModes = kernel.eswitchModes;
    this.known = new Map(
      deviceNames(this.sysfs).map((one) => {
        const before = this.known.get(one.name);
        const isFresh = before !== undefined && !stale(one.name, before);
        return [one.name, isFresh ? before : this.read(one, functions, before)];
      }),
    );
    const all = [...this.known.values()];
    return {
      devices: all.flatMap((known) => factsOf(known, kernel) ?? []),
      faults: all.flatMap(({ fault }) => fault ?? []),
    };
  }

  /** Facts of a function are partly those of its card. */
  private staleBy({ eswitchModes }: KernelFacts, changes: Changes): (name: string, known: Known) => boolean {
    const before = this.eswitchModes;
    const hasChanged = (name: string): boolean =>
      changes === 'all' || changes.has(name) || eswitchModes.get(name) !== before.get(name);
    return (name, { facts, fault }) =>
      fault !== undefined || hasChanged(name) || (facts !== undefined && hasChanged(facts.pfAddress));
  }

  private read(one: DeviceName, functions: PhysicalFunctions, before: Known | undefined): Known {
    const path = join(this.sysfs, 'bus', one.bus, 'devices', one.name);
    const inode = statSync(path, { throwIfNoEntry: false })?.ino;
    const { facts, fault } = readDevice(this.sysfs, one, functions);
    const isSame = before?.inode === inode && before?.facts?.driver === facts?.driver;
    return {
      facts: isSame && facts !== undefined && before?.facts !== undefined ? remembered(before.facts, facts) : facts,
      fault,
      inode,
      linkType: isSame ? (before?.linkType ?? '') : '',
    };
  }
}

const remembered = (before: SysfsFacts, now: SysfsFacts): SysfsFacts => ({
  ...now,
  netdev: now.netdev || before.netdev,
  isRdma: now.isRdma || before.isRdma,
});

function factsOf(known: Known, kernel: KernelFacts): DeviceFacts | undefined {
  if (known.facts === undefined) {
    return undefined;
  }
  const facts = withKernel(known.facts, kernel);
  known.linkType = facts.linkType || known.linkType;
  return { ...facts, linkType: known.linkType };
}
