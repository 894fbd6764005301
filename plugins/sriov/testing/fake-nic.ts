import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { NO_MAC } from '../../../lib/link/vf.ts';
import { formatMac, parseMac } from '../../../lib/net/mac.ts';
import { RTM_NEWADDR } from '../../../lib/netlink/codec/address.ts';
import {
  decodeLink,
  encodeLink,
  IFF_UP,
  type LinkAttributes,
  RTM_DELLINKPROP,
  RTM_GETLINK,
  RTM_NEWLINK,
  RTM_NEWLINKPROP,
  RTM_SETLINK,
} from '../../../lib/netlink/codec/link.ts';
import { decodeVfs, type VfAttributes, VfTable } from '../../../lib/netlink/codec/vf.ts';
import { errnoError } from '../../../lib/netlink/errno.ts';
import { Netlink, type Transport } from '../../../lib/netlink/netlink.ts';
import type { Frame, Netns } from '../../../lib/netns/netns.ts';

const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const DUMP = 0x300;
const [EBUSY, EEXIST, ENODEV, EOPNOTSUPP] = [16, 17, 19, 95];

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

/** What a fake kernel is asked to change: `SETLINK vf`, `SETLINK move`, `NEWADDR`, `sysctl`, … */
export type Step = string;

/**
 * A card with SR-IOV and a kernel that knows it, in memory; what sysfs shows is in a folder. The PF has VFs 0 and 1, and
 * VF 1 is the one at the address VF.
 */
export class FakeNic {
  readonly home: FakeNetns = { path: 'own', links: [], alive: true, frames: [] };
  readonly pod: FakeNetns = { path: '/run/netns/pod', links: [], alive: true, frames: [] };
  readonly vfs: FakeVf[] = [0, 1].map(() => ({ ...UNTOUCHED }));
  readonly steps: Step[] = [];
  /** throws or answers an errno before a step is done */
  onStep: (step: Step) => number | undefined = () => undefined;
  readonly sysfs: string;
  private readonly namespaces = [this.home, this.pod];

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

  /** A folder, a file (`name = content`) or a symbolic link (`name -> target`) of sysfs. */
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

  /** No driver is bound to the VF any more. */
  unbind(): void {
    this.home.links = this.home.links.filter(({ parentDev }) => parentDev !== VF);
    rmSync(join(this.sysfs, `devices/pci0000:00/${VF}/driver`), { force: true });
    this.showNames();
  }

  /** The VF is handed to a program. */
  bindToVfio(): void {
    this.home.links = this.home.links.filter(({ parentDev }) => parentDev !== VF);
    this.entry(`devices/pci0000:00/${VF}/driver -> ../../../bus/pci/drivers/vfio-pci`);
    this.showNames();
  }

  /** The pod's namespace ends; the kernel brings devices back under the names that they had there. */
  endPod(): void {
    this.pod.alive = false;
    this.home.links.push(...this.pod.links.filter(({ parentDev }) => parentDev !== ''));
    this.pod.links = [];
    this.showNames();
  }

  get interface(): FakeLink | undefined {
    return [...this.home.links, ...this.pod.links].find(({ parentDev }) => parentDev === VF);
  }

  /** All that can be seen. */
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
      descriptor: this.namespaces.indexOf(namespace),
      netlink: new Netlink(this.transport(namespace)),
      isSameAs: (other: Netns) => other.path === namespace.path,
      writeSysctl: () => step('sysctl'),
      openFile: () => {
        throw errnoError('open', 2);
      },
      sendFrame: (_link: unknown, frame: Frame) => void namespace.frames.push(frame),
      [Symbol.dispose]: () => undefined,
    };
    return netns as unknown as Netns;
  }

  private step(name: Step): number | undefined {
    this.steps.push(name);
    return this.onStep(name);
  }

  private transport(namespace: FakeNetns): Transport {
    const answers: Buffer[] = [];
    const send = (bytes: Buffer): void => void answers.push(this.answer(namespace, bytes));
    return {
      send,
      sendInBackground: async (bytes) => send(bytes),
      receive: () => answers.shift() ?? Buffer.alloc(0),
      close: () => undefined,
    };
  }

  private answer(namespace: FakeNetns, request: Buffer): Buffer {
    const [, typeAndFlags = 0, sequence = 0] = new Uint32Array(Uint8Array.from(request.subarray(0, 16)).buffer);
    const [type, flags] = [typeAndFlags & 0xffff, typeAndFlags >>> 16];
    const body = request.subarray(16);
    if (type === RTM_GETLINK) {
      return this.told(namespace, body, sequence, (flags & DUMP) === DUMP);
    }
    if ((flags & DUMP) === DUMP) {
      return message(NLMSG_DONE, sequence, Buffer.alloc(4));
    }
    const errno = this.change(namespace, type, body) ?? 0;
    return message(NLMSG_ERROR, sequence, Buffer.concat([Buffer.from(Int32Array.of(-errno).buffer), Buffer.alloc(16)]));
  }

  private told(namespace: FakeNetns, body: Buffer, sequence: number, isDump: boolean): Buffer {
    const { index, attributes } = decodeLink(body);
    const { ifName: name = attributes.altIfName ?? '' } = attributes;
    const found = namespace.links.filter(
      (one) => isDump || one.index === index || one.name === name || one.altNames.includes(name),
    );
    const told = found.map((one) => message(RTM_NEWLINK, sequence, this.encode(one, attributes.extMask ?? 0)));
    if (isDump) {
      return Buffer.concat([...told, message(NLMSG_DONE, sequence, Buffer.alloc(4))]);
    }
    const refusal = Buffer.concat([Buffer.from(Int32Array.of(-ENODEV).buffer), Buffer.alloc(16)]);
    return told[0] ?? message(NLMSG_ERROR, sequence, refusal);
  }

  private encode(one: FakeLink, extMask: number): Buffer {
    const attributes: LinkAttributes = {
      ifName: one.name,
      mtu: one.mtu,
      address: parseMac(one.mac) ?? Buffer.alloc(6),
      ...(one.parentDev === ''
        ? {}
        : { parentDevName: one.parentDev, permAddress: parseMac(OWN_MAC) ?? Buffer.alloc(6) }),
      ...(one.altNames.length === 0 ? {} : { propList: { altIfNames: one.altNames } }),
    };
    const parts = encodeLink({ index: one.index, flags: one.flags }, attributes);
    return Buffer.concat([...parts, ...((extMask & 1) === 1 && one.parentDev === PF ? [this.vfList()] : [])]);
  }

  private vfList(): Buffer {
    const infos = this.vfs.map((vf, number) => raw(1, Buffer.concat(VfTable.encode(told(vf, number)))));
    const count = Buffer.from(Uint32Array.of(this.vfs.length).buffer);
    return Buffer.concat([raw(21, count), raw(22, Buffer.concat(infos))]);
  }

  private change(namespace: FakeNetns, type: number, body: Buffer): number | undefined {
    if (type === RTM_NEWADDR) {
      return this.step('NEWADDR');
    }
    const { index, flags, attributes } = decodeLink(body);
    const target = namespace.links.find((one) => one.index === index);
    const [info] = decodeVfs(body).entries;
    const step = stepOf(type, attributes, info !== undefined);
    const refused = this.step(step);
    if (refused !== undefined || target === undefined) {
      return refused ?? ENODEV;
    }
    const [name = ''] = attributes.propList?.altIfNames ?? [];
    switch (type) {
      case RTM_NEWLINKPROP:
        return this.isTaken(namespace, name, undefined) ? EEXIST : void target.altNames.push(name);
      case RTM_DELLINKPROP:
        target.altNames = target.altNames.filter((one) => one !== name);
        return undefined;
      case RTM_NEWLINK:
        target.flags = (target.flags & ~IFF_UP) | (flags & IFF_UP);
        return undefined;
      case RTM_SETLINK:
        return info === undefined ? this.setLink(namespace, target, attributes) : this.setVf(info);
      default:
        return EOPNOTSUPP;
    }
  }

  private setLink(from: FakeNetns, target: FakeLink, { netNsFd, ifName, address, mtu }: LinkAttributes) {
    if (address !== undefined && (target.flags & IFF_UP) !== 0) {
      return EBUSY;
    }
    const to = netNsFd === undefined ? from : (this.namespaces[netNsFd] ?? from);
    const names = [ifName ?? target.name, ...(to === from ? [] : target.altNames)];
    if (names.some((name) => name !== target.name && this.isTaken(to, name, undefined)) && ifName !== undefined) {
      return EEXIST;
    }
    if (to !== from && names.some((name) => this.isTaken(to, name, target))) {
      return EEXIST;
    }
    target.mac = address === undefined ? target.mac : formatMac(address);
    target.mtu = mtu ?? target.mtu;
    target.name = ifName ?? target.name;
    if (to !== from) {
      from.links = from.links.filter((one) => one !== target);
      target.flags = 0;
      to.links.push(target);
    }
    this.showNames();
    return undefined;
  }

  private setVf(info: VfAttributes): number | undefined {
    const number = [info.mac, info.vlanList?.info, info.rate, info.spoofCheck, info.trust, info.linkState].find(
      (value) => value !== undefined,
    )?.vf;
    const vf = this.vfs[number ?? -1];
    if (vf === undefined) {
      return ENODEV;
    }
    vf.mac = info.mac === undefined ? vf.mac : formatMac(info.mac.mac.subarray(0, 6));
    Object.assign(vf, info.vlanList?.info && { vlan: info.vlanList.info.vlan, qos: info.vlanList.info.qos });
    vf.protocol = info.vlanList?.info?.protocol ?? vf.protocol;
    Object.assign(vf, info.rate && { min: info.rate.min, max: info.rate.max });
    vf.spoofCheck = info.spoofCheck?.setting ?? vf.spoofCheck;
    vf.trust = info.trust?.setting ?? vf.trust;
    vf.linkState = info.linkState?.state ?? vf.linkState;
    return undefined;
  }

  private isTaken(namespace: FakeNetns, name: string, except: FakeLink | undefined): boolean {
    return namespace.links.some((one) => one !== except && (one.name === name || one.altNames.includes(name)));
  }

  /** sysfs shows what is in the namespace that it was mounted in. */
  private showNames(): void {
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

function told(vf: FakeVf, number: number): VfAttributes {
  return {
    mac: { vf: number, mac: parseMac(vf.mac) ?? Buffer.alloc(6) },
    vlanList: { info: { vf: number, vlan: vf.vlan, qos: vf.qos, protocol: vf.protocol } },
    spoofCheck: { vf: number, setting: vf.spoofCheck },
    trust: { vf: number, setting: vf.trust },
    rate: { vf: number, min: vf.min, max: vf.max },
    linkState: { vf: number, state: vf.linkState },
  };
}

function stepOf(type: number, { netNsFd, ifName, address, mtu }: LinkAttributes, isVf: boolean): Step {
  switch (type) {
    case RTM_NEWLINKPROP:
      return 'NEWLINKPROP';
    case RTM_DELLINKPROP:
      return 'DELLINKPROP';
    case RTM_NEWLINK:
      return 'NEWLINK flags';
    default: {
      const parts = { vf: isVf, move: netNsFd, rename: netNsFd === undefined && ifName, mac: address, mtu };
      const [what = 'other'] = Object.entries(parts).find(([, value]) => value !== undefined && value !== false) ?? [];
      return `SETLINK ${what}`;
    }
  }
}

const raw = (number: number, value: Buffer): Buffer =>
  Buffer.concat([Buffer.from(Uint16Array.of(4 + value.length, number).buffer), value, Buffer.alloc(-value.length & 3)]);

function message(type: number, sequence: number, data: Buffer): Buffer {
  const header = Uint32Array.of(16 + data.length, type, sequence, 0);
  return Buffer.concat([new Uint8Array(header.buffer), data, Buffer.alloc(-data.length & 3)]);
}
