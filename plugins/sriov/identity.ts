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
import { patiently, RHYTHM } from './patience.ts';
import type { SriovRecord } from './record.ts';

const EAGAIN = 11;

/** A PF that is busy does not answer every VF that asks. */
const ADOPTION_MS = 500;

/**
 * Is this the interface of the VF? Its PCI address says so in every namespace; kernels before 5.14 do not tell it, and
 * there a physical device with one of the VF's hardware addresses is taken for it.
 */
export function isInterfaceOf(device: DeviceFacts, { deviceId, mac, before, own }: SriovRecord): boolean {
  const known = own?.device?.parentDev ?? '';
  if (device.parentDev !== '' || known !== '') {
    return device.parentDev === (known || deviceId);
  }
  return device.kind === '' && !['', NO_MAC].includes(device.mac) && [mac, before.mac].includes(device.mac);
}

/** The VF's interface in a namespace, whatever it is called there. */
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
 * Gives an interface its hardware address and looks whether it has it: some drivers ask their PF first, and are not
 * ready when they answer; others let a VF have no address but that which its PF has for it, and take that when the
 * interface goes up or down (igbvf).
 *
 * @returns the interface as it is then; it may have been set down
 * @throws ErrnoError when it has another one after the deadline
 */
export async function wearMac(
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
    await patiently(clock, async () => {
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
    if (!hasErrno(error, 'EADDRNOTAVAIL', 'EACCES', 'EPERM') || !(await poll(clock, ADOPTION_MS, RHYTHM, asksPf))) {
      throw error;
    }
  }
  return seen;
}
