/** The rtnetlink of the fake kernel, as far as the plugin uses it. */
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
import type { Transport } from '../../../lib/netlink/transport.ts';
import { type FakeLink, type FakeNetns, type FakeNic, type FakeVf, OWN_MAC, PF, type Step } from './fake-nic.ts';

const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const DUMP = 0x300;
const [EBUSY, EEXIST, ENODEV, EOPNOTSUPP] = [16, 17, 19, 95];

/** A namespace's socket, answered by the fake kernel. */
export function transportOf(nic: FakeNic, namespace: FakeNetns): Transport {
  const answers: Buffer[] = [];
  const send = (bytes: Buffer): void => {
    for (let offset = 0; offset < bytes.length; offset += (bytes.readUInt32LE(offset) + 3) & ~3) {
      answers.push(answer(nic, namespace, bytes.subarray(offset, offset + bytes.readUInt32LE(offset))));
    }
  };
  const receive = (): Buffer => answers.shift() ?? Buffer.alloc(0);
  return {
    send,
    sendInBackground: async (bytes) => send(bytes),
    receive,
    receiveInBackground: async () => receive(),
    close: () => undefined,
  };
}

function answer(nic: FakeNic, namespace: FakeNetns, request: Buffer): Buffer {
  const [, typeAndFlags = 0, sequence = 0] = new Uint32Array(Uint8Array.from(request.subarray(0, 16)).buffer);
  const [type, flags] = [typeAndFlags & 0xffff, typeAndFlags >>> 16];
  const body = request.subarray(16);
  if (type === RTM_GETLINK) {
    return toldOf(nic, namespace, body, sequence, (flags & DUMP) === DUMP);
  }
  if ((flags & DUMP) === DUMP) {
    return message(NLMSG_DONE, sequence, Buffer.alloc(4));
  }
  const errno = change(nic, namespace, type, body) ?? 0;
  return message(NLMSG_ERROR, sequence, Buffer.concat([Buffer.from(Int32Array.of(-errno).buffer), Buffer.alloc(16)]));
}

function toldOf(nic: FakeNic, namespace: FakeNetns, body: Buffer, sequence: number, isDump: boolean): Buffer {
  const { index, attributes } = decodeLink(body);
  const { ifName: name = attributes.altIfName ?? '' } = attributes;
  const found = namespace.links.filter(
    (one) => isDump || one.index === index || one.name === name || one.altNames.includes(name),
  );
  const told = found.map((one) => message(RTM_NEWLINK, sequence, encode(nic, one, attributes.extMask ?? 0)));
  if (isDump) {
    return Buffer.concat([...told, message(NLMSG_DONE, sequence, Buffer.alloc(4))]);
  }
  const refusal = Buffer.concat([Buffer.from(Int32Array.of(-ENODEV).buffer), Buffer.alloc(16)]);
  return told[0] ?? message(NLMSG_ERROR, sequence, refusal);
}

function encode(nic: FakeNic, one: FakeLink, extMask: number): Buffer {
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
  return Buffer.concat([...parts, ...((extMask & 1) === 1 && one.parentDev === PF ? [vfList(nic)] : [])]);
}

function vfList(nic: FakeNic): Buffer {
  const infos = nic.vfs.map((vf, number) => raw(1, Buffer.concat(VfTable.encode(told(vf, number)))));
  const count = Buffer.from(Uint32Array.of(nic.vfs.length).buffer);
  return Buffer.concat([raw(21, count), raw(22, Buffer.concat(infos))]);
}

function change(nic: FakeNic, namespace: FakeNetns, type: number, body: Buffer): number | undefined {
  if (type === RTM_NEWADDR) {
    return nic.step('NEWADDR');
  }
  const { index, flags, attributes } = decodeLink(body);
  const target = namespace.links.find((one) => one.index === index);
  const [info] = decodeVfs(body).entries;
  const step = stepOf(type, attributes, info !== undefined);
  const refused = nic.step(step);
  if (refused !== undefined || target === undefined) {
    return refused ?? ENODEV;
  }
  const names = attributes.propList?.altIfNames ?? [];
  switch (type) {
    case RTM_NEWLINKPROP:
      return names.some((name) => isTaken(namespace, name, undefined)) ? EEXIST : void target.altNames.push(...names);
    case RTM_DELLINKPROP:
      target.altNames = target.altNames.filter((one) => !names.includes(one));
      return undefined;
    case RTM_NEWLINK:
      target.flags = (target.flags & ~IFF_UP) | (flags & IFF_UP);
      return undefined;
    case RTM_SETLINK:
      return info === undefined ? setLink(nic, namespace, target, attributes) : setVf(nic, info);
    default:
      return EOPNOTSUPP;
  }
}

function setLink(nic: FakeNic, from: FakeNetns, target: FakeLink, { netNsFd, ifName, address, mtu }: LinkAttributes) {
  if (address !== undefined && (target.flags & IFF_UP) !== 0) {
    return EBUSY;
  }
  const to = netNsFd === undefined ? from : (nic.namespaces[netNsFd] ?? from);
  const names = [ifName ?? target.name, ...(to === from ? [] : target.altNames)];
  if (names.some((name) => name !== target.name && isTaken(to, name, undefined)) && ifName !== undefined) {
    return EEXIST;
  }
  if (to !== from && names.some((name) => isTaken(to, name, target))) {
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
  nic.showNames();
  return undefined;
}

function setVf(nic: FakeNic, info: VfAttributes): number | undefined {
  const number = [info.mac, info.vlanList?.info, info.rate, info.spoofCheck, info.trust, info.linkState].find(
    (value) => value !== undefined,
  )?.vf;
  const vf = nic.vfs[number ?? -1];
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

function isTaken(namespace: FakeNetns, name: string, except: FakeLink | undefined): boolean {
  return namespace.links.some((one) => one !== except && (one.name === name || one.altNames.includes(name)));
}

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
