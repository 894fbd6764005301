import {
  type DeviceFacts,
  findDevice,
  findDeviceByIndex,
  listDevices,
  setDown,
  setFlags,
  setMac,
} from '../../lib/link/device.ts';
import { NO_MAC } from '../../lib/link/vf.ts';
import type { Mac } from '../../lib/net/mac.ts';
import { IFF_UP } from '../../lib/netlink/codec/link.ts';
import type { Conversation } from '../../lib/netlink/conversation.ts';
import { errnoError, hasErrno } from '../../lib/netlink/errno.ts';
import { type Clock, poll } from '../../lib/sys/clock.ts';
import type { SriovRecord } from './record.ts';
import { RETRY_PAUSES, retryTransient } from './retry.ts';

const EAGAIN = 11;

/** A busy PF does not answer every request of a VF. */
const ADOPTION_MS = 500;

/**
 * Whether this is the VF's interface: by PCI address in every namespace. Kernels before 5.14 do not report it; there, a
 * physical device with one of the VF's hardware addresses counts.
 */
export function isInterfaceOf(device: DeviceFacts, { deviceId, mac, before, own }: SriovRecord): boolean {
  const known = own?.device?.parentDev ?? '';
  if (device.parentDev !== '' || known !== '') {
    return device.parentDev === (known || deviceId);
  }
  return device.kind === '' && !['', NO_MAC].includes(device.mac) && [mac, before.mac].includes(device.mac);
}

/** The VF's interface in a namespace, whatever its name there. */
export async function findInterface(
  netlink: Conversation,
  name: string,
  record: SriovRecord,
): Promise<DeviceFacts | undefined> {
  const expected = name === '' ? undefined : await findDevice(netlink, name);
  return expected !== undefined && isInterfaceOf(expected, record)
    ? expected
    : (await listDevices(netlink)).find((device) => isInterfaceOf(device, record));
}

/**
 * Sets an interface's hardware address and verifies it: some drivers ask their PF first and answer before it is done;
 * others accept only the address that the PF has for the VF, and adopt that when the interface goes up or down (igbvf).
 *
 * @returns the interface afterwards; it may have been set down
 * @throws ErrnoError when it still has another address at the deadline
 */
export async function setMacVerified(
  netlink: Conversation,
  device: DeviceFacts,
  mac: Mac,
  clock: Clock,
): Promise<DeviceFacts> {
  let seen = device;
  const hasIt = async (): Promise<true | undefined> => {
    seen = (await findDeviceByIndex(netlink, device.index)) ?? seen;
    return seen.mac === mac || undefined;
  };
  try {
    await retryTransient(clock, async () => {
      if (seen.mac !== mac) {
        await setMac(netlink, seen, mac);
        if (!(await hasIt())) {
          throw errnoError(
            `set the hardware address ${mac} of link "${seen.name}"`,
            EAGAIN,
            `it still has ${seen.mac}`,
          );
        }
      }
    });
  } catch (error) {
    const asksPf = async (): Promise<true | undefined> => {
      await setFlags(netlink, seen, IFF_UP, IFF_UP);
      await setDown(netlink, seen);
      return hasIt();
    };
    if (
      !hasErrno(error, 'EADDRNOTAVAIL', 'EACCES', 'EPERM') ||
      !(await poll(clock, ADOPTION_MS, RETRY_PAUSES, asksPf))
    ) {
      throw error;
    }
  }
  return seen;
}
