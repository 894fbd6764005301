import { CniError } from '../cni/errors.ts';
import { formatMac, type Mac } from '../net/mac.ts';
import { decodeLink, encodeLink, RTM_GETLINK } from '../netlink/codec/link.ts';
import {
  decodeVfs,
  ETH_P_8021AD,
  ETH_P_8021Q,
  LINK_STATES,
  UNSUPPORTED,
  type VfAttributes,
  WITH_VFS,
} from '../netlink/codec/vf.ts';
import type { Conversation } from '../netlink/conversation.ts';
import { hasErrno } from '../netlink/errno.ts';
import type { BusDevice } from '../sys/bus-device.ts';
import { queryFor } from './observe.ts';
import type { LinkState, VfFacts } from './vf-facts.ts';
import { vfInSysfs } from './vf-sysfs.ts';

const ETHERNET_BYTES = 6;
/** An entry has some 200 bytes, and a list 64 KiB. */
const VFS_THAT_FIT = 200;

/** A PF, and its folder in sysfs: some drivers tell there what the kernel's list is too short for. */
export interface Pf {
  readonly name: string;
  readonly device?: BusDevice;
}

export interface PfFacts extends Pf {
  readonly index: number;
  readonly mtu: number;
  /** how many VFs it has, whether they are told or not */
  readonly vfCount: number;
  readonly vfs: readonly VfFacts[];
}

/**
 * A PF with its VFs.
 *
 * @returns undefined when there is no such link; without VFs when the kernel's answer is too short for them (EMSGSIZE)
 * @throws ErrnoError
 */
export async function findPf(netlink: Conversation, pf: Pf): Promise<PfFacts | undefined> {
  const query = queryFor(pf.name);
  if (query === undefined) {
    return undefined;
  }
  const ask = async (extMask: number): Promise<Buffer> =>
    netlink.ask({
      type: RTM_GETLINK,
      body: encodeLink({}, { ...query, extMask }),
      operation: `look up link "${pf.name}" with its VFs`,
    });
  try {
    const answer = await ask(WITH_VFS);
    return isWhole(answer) ? factsOf(pf, answer, answer) : factsOf(pf, await ask(0), answer);
  } catch (error) {
    if (hasErrno(error, 'ENODEV')) {
      return undefined;
    }
    if (hasErrno(error, 'EMSGSIZE')) {
      const answer = await ask(0);
      return factsOf(pf, answer, answer);
    }
    throw error;
  }
}

/**
 * One VF of a PF, by the number that the entry itself has.
 *
 * @throws CniError internal that says what can be done, when the kernel does not tell of that VF
 */
export function vfOf(pf: PfFacts, number: number): VfFacts {
  const found = pf.vfs.find((vf) => vf.number === number) ?? vfInSysfs(pf.device, number);
  if (found !== undefined) {
    return found;
  }
  const what = `cannot read VF ${number} of "${pf.name}"`;
  if (pf.vfs.length === 0 && pf.vfCount === 0) {
    throw new CniError('internal', `${what}: the driver tells of no VF, so nothing of it can be set or restored`);
  }
  throw new CniError(
    'internal',
    pf.vfCount > 0 && number >= pf.vfCount
      ? `${what}: it has ${pf.vfCount}`
      : `${what}: the kernel's list of its ${pf.vfCount} VFs is longer than one answer can hold; make fewer (sriov_numvfs), some ${VFS_THAT_FIT} fit`,
  );
}

/**
 * Reads one VF.
 *
 * @throws CniError internal when there is no such link or no such VF; ErrnoError
 */
export async function readVf(netlink: Conversation, pf: Pf, number: number): Promise<VfFacts> {
  const facts = await findPf(netlink, pf);
  if (facts === undefined) {
    throw new CniError('internal', `cannot read VF ${number} of "${pf.name}": no such interface`);
  }
  return vfOf(facts, number);
}

export const NO_MAC: Mac = formatMac(Buffer.alloc(ETHERNET_BYTES));

/** A list that is too long has lost the upper bits of its length, and nothing behind it can be read. */
function isWhole(answer: Buffer): boolean {
  try {
    decodeLink(answer);
    return true;
  } catch (error) {
    if (error instanceof RangeError) {
      return false;
    }
    throw error;
  }
}

function factsOf(pf: Pf, link: Buffer, list: Buffer): PfFacts {
  const { index, attributes } = decodeLink(link);
  const { count, entries } = decodeVfs(list);
  return {
    ...pf,
    name: attributes.ifName ?? pf.name,
    index,
    mtu: attributes.mtu ?? 0,
    vfCount: count,
    vfs: entries.flatMap((entry) => vfFacts(entry) ?? []),
  };
}

function vfFacts({ mac, vlan, vlanList, spoofCheck, trust, rate, txRate, linkState }: VfAttributes) {
  const number = mac?.vf ?? vlan?.vf;
  if (number === undefined) {
    return undefined;
  }
  const tag = vlanList?.info ?? { vlan: vlan?.vlan ?? 0, qos: vlan?.qos ?? 0, protocol: ETH_P_8021Q };
  const facts: VfFacts = {
    number,
    mac: mac === undefined ? NO_MAC : formatMac(mac.mac.subarray(0, ETHERNET_BYTES)),
    vlan: { id: tag.vlan, qos: tag.qos, protocol: tag.protocol === ETH_P_8021AD ? '802.1ad' : '802.1q' },
    spoofCheck: settingOf(spoofCheck?.setting),
    trust: settingOf(trust?.setting),
    rate: { min: rate?.min ?? 0, max: rate?.max ?? txRate?.max ?? 0 },
    linkState: stateOf(linkState?.state),
  };
  return facts;
}

const settingOf = (setting: number | undefined): boolean | undefined =>
  setting === undefined || setting === UNSUPPORTED ? undefined : setting !== 0;

const stateOf = (state: number | undefined): LinkState =>
  state === LINK_STATES.enable ? 'enable' : state === LINK_STATES.disable ? 'disable' : 'auto';
