import { cpSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { NO_MAC } from '../../../lib/link/vf.ts';
import { Conversation } from '../../../lib/netlink/conversation.ts';
import { errnoError } from '../../../lib/netlink/errno.ts';
import type { Frame, Netns } from '../../../lib/netns/netns.ts';
import { transportOf } from './fake-rtnetlink.ts';

export const PF = '0000:01:00.0';
export const VF = '0000:01:10.2';
export const OWN_MAC = '02:00:00:00:00:01';

export interface FakeLink {
  index: number;
  name: string;
  mac: string;
  mtu: number;
  flags: number;
  altNames: string[];
  readonly parentDev: string;
}

export interface FakeVf {
  mac: string;
  vlan: number;
  qos: number;
  protocol: number;
  spoofCheck: number;
  trust: number;
  min: number;
  max: number;
  linkState: number;
}

/** A network namespace of the fake kernel. */
export interface FakeNetns {
  readonly path: string;
  links: FakeLink[];
  alive: boolean;
  readonly frames: Frame[];
}

/** A change requested from the fake kernel: `SETLINK vf`, `SETLINK move`, `NEWADDR`, `sysctl`, … */
export type Step = string;

/**
 * A NIC with SR-IOV and its kernel, in memory; sysfs is a folder. The PF has VFs 0 and 1; VF 1 is at the address VF.
 */
export class FakeNic {
  readonly home: FakeNetns = { path: 'own', links: [], alive: true, frames: [] };
  readonly pod: FakeNetns = { path: '/run/netns/pod', links: [], alive: true, frames: [] };
  readonly vfs: FakeVf[] = [0, 1].map(() => ({ ...UNTOUCHED }));
  readonly steps: Step[] = [];
  /** throws or returns an errno to refuse a step */
  onStep: (step: Step) => number | undefined = () => undefined;
  readonly sysfs: string;
  /** by descriptor */
  readonly namespaces = [this.home, this.pod];

  /** @param folder an empty one */
  constructor(folder: string) {
    this.sysfs = folder;
    this.home.links.push(
      link({ index: 2, name: 'p1', mac: '02:00:00:00:00:aa', parentDev: PF }),
      link({ index: 5, name: 'p1v1', altNames: ['enp1s0f0v1'], parentDev: VF }),
    );
    this.pod.links.push(link({ index: 1, name: 'lo' }));
    for (const [address, entries] of Object.entries({
      [PF]: ['virtfn0 -> ../0000:01:10.0', `virtfn1 -> ../${VF}`, 'driver -> ../../../bus/pci/drivers/igb'],
      [VF]: [`physfn -> ../${PF}`, 'driver -> ../../../bus/pci/drivers/igbvf'],
    })) {
      this.entry(`devices/pci0000:00/${address}`);
      this.entry(`bus/pci/devices/${address} -> ../../../devices/pci0000:00/${address}`);
      for (const one of entries) {
        this.entry(`devices/pci0000:00/${address}/${one}`);
      }
    }
    this.showNames();
  }

  /** Makes a folder, a file (`name = content`) or a symbolic link (`name -> target`) of sysfs. */
  entry(text: string): void {
    const [path = '', target] = text.split(' -> ');
    const [name = '', content] = path.split(' = ');
    const place = join(this.sysfs, name);
    rmSync(place, { recursive: true, force: true });
    mkdirSync(target === undefined && content === undefined ? place : dirname(place), { recursive: true });
    if (target !== undefined) {
      symlinkSync(target, place);
    } else if (content !== undefined) {
      writeFileSync(place, content);
    }
  }

  /** Recreates the VF: its sysfs folder gets a new inode. */
  remake(): void {
    const old = `devices/pci0000:00/${VF}`;
    const target = join(this.sysfs, old);
    renameSync(target, `${target}.old`);
    cpSync(`${target}.old`, target, { recursive: true, verbatimSymlinks: true });
  }

  /** Unbinds the VF's driver. */
  unbind(): void {
    this.home.links = this.home.links.filter(({ parentDev }) => parentDev !== VF);
    rmSync(join(this.sysfs, `devices/pci0000:00/${VF}/driver`), { force: true });
    this.showNames();
  }

  /** Binds the VF to a userspace driver. */
  bindToVfio(): void {
    this.home.links = this.home.links.filter(({ parentDev }) => parentDev !== VF);
    this.entry(`devices/pci0000:00/${VF}/driver -> ../../../bus/pci/drivers/vfio-pci`);
    this.showNames();
  }

  /** Ends the pod's namespace; the kernel returns its devices under their names there. */
  endPod(): void {
    this.pod.alive = false;
    this.home.links.push(...this.pod.links.filter(({ parentDev }) => parentDev !== ''));
    this.pod.links = [];
    this.showNames();
  }

  get interface(): FakeLink | undefined {
    return [...this.home.links, ...this.pod.links].find(({ parentDev }) => parentDev === VF);
  }

  /** A copy of the visible state. */
  picture(): unknown {
    return JSON.parse(JSON.stringify([this.home.links, this.pod.links, this.vfs]));
  }

  open(namespace: FakeNetns): Netns {
    const step = (name: string): void => {
      const errno = this.step(name);
      if (errno !== undefined) {
        throw errnoError(name, errno);
      }
    };
    const netns = {
      path: namespace.path,
      identity: `4:${this.namespaces.indexOf(namespace)}`,
      cookie: undefined,
      descriptor: this.namespaces.indexOf(namespace),
      netlink: new Conversation(() => transportOf(this, namespace)),
      isSameAs: (other: Netns) => other.path === namespace.path,
      writeSysctl: () => step('sysctl'),
      writeSysctls: () => {
        step('sysctl');
        return [];
      },
      openFile: () => {
        throw errnoError('open', 2);
      },
      sendFrame: (_link: unknown, frame: Frame) => void namespace.frames.push(frame),
      [Symbol.dispose]: () => undefined,
    };
    return netns as unknown as Netns;
  }

  /** @returns the errno of a refusal */
  step(name: Step): number | undefined {
    this.steps.push(name);
    return this.onStep(name);
  }

  /** Updates sysfs, which shows the namespace that it was mounted in. */
  showNames(): void {
    for (const address of [PF, VF]) {
      this.entry(`devices/pci0000:00/${address}/net`);
      for (const { name } of this.home.links.filter(({ parentDev }) => parentDev === address)) {
        this.entry(`devices/pci0000:00/${address}/net/${name}`);
      }
    }
  }
}

const UNTOUCHED: FakeVf = {
  mac: NO_MAC,
  vlan: 0,
  qos: 0,
  protocol: 0x8100,
  spoofCheck: 1,
  trust: 0,
  min: 0,
  max: 0,
  linkState: 0,
};

export const link = (facts: Partial<FakeLink> & Pick<FakeLink, 'index' | 'name'>): FakeLink => ({
  mac: OWN_MAC,
  mtu: 1500,
  flags: 0,
  altNames: [],
  parentDev: '',
  ...facts,
});
