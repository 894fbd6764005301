import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { basename, join } from 'node:path';
import { findPf, NO_MAC } from '../../lib/link/vf.ts';
import { vfInSysfs } from '../../lib/link/vf-sysfs.ts';
import { macOf } from '../../lib/net/mac.ts';
import type { Conversation } from '../../lib/netlink/conversation.ts';
import { type BusDevice, findPciDevice } from '../../lib/sys/bus-device.ts';
import { flatMapInTurn } from '../../lib/sys/in-turn.ts';

/** The VFs of this node with this administrative hardware address. */
export async function vfsWithMac(mac: string, netlink: Conversation, sysfs: string): Promise<readonly BusDevice[]> {
  const wanted = macOf(mac);
  if (wanted === undefined || wanted === NO_MAC) {
    return [];
  }
  const found = await flatMapInTurn(pfsIn(sysfs), async ({ name, device }) => {
    const pf = await findPf(netlink, { name, device });
    return vfNumbersOf(device)
      .filter((number) => (pf?.vfs.find((vf) => vf.number === number) ?? vfInSysfs(device, number))?.mac === wanted)
      .flatMap((number) => pciDeviceAt(join(device.folder, `virtfn${number}`), sysfs) ?? []);
  });
  return [...new Map(found.map((vf) => [vf.name, vf])).values()]; // the ports of a PF share its VFs
}

/** Links on the host whose device has VFs. */
function pfsIn(sysfs: string): readonly { readonly name: string; readonly device: BusDevice }[] {
  const folder = join(sysfs, 'class/net');
  return readdirSync(folder)
    .filter((name) => existsSync(join(folder, name, 'device/virtfn0')))
    .flatMap((name) => {
      const device = pciDeviceAt(join(folder, name, 'device'), sysfs);
      return device === undefined ? [] : [{ name, device }];
    });
}

const vfNumbersOf = ({ folder }: BusDevice): readonly number[] =>
  readdirSync(folder)
    .flatMap((name) => /^virtfn(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number);

function pciDeviceAt(path: string, sysfs: string): BusDevice | undefined {
  try {
    return findPciDevice(basename(realpathSync(path)), 'prevResult', sysfs);
  } catch {
    return undefined; // gone by now, or on another bus
  }
}
