import { doAll } from '../../lib/cni/errors.ts';
import type { Host } from '../../lib/cni/plugin.ts';
import { lookAt } from './discover.ts';
import { bringHome } from './home.ts';
import { isAlive, ownerOf, removeOwner } from './places.ts';
import type { SriovRecord } from './record.ts';
import { listRecords } from './records.ts';
import { resetVf } from './reset.ts';

/** Where the interface of a VF may be. */
export interface Whereabouts {
  /** paths of namespaces, the likeliest first */
  readonly netnsPaths: readonly string[];
  /** what it is probably called there */
  readonly ifName: string;
}

/**
 * Makes a VF what it was before the attachment, and frees it. The caller holds its lock. Every step is tried, and all of
 * them can be done again. The PF is asked before the interface gets its own address back, since some drivers let a VF
 * have no address but that of its PF; and once more after it, since others tell it to the PF, which keeps it.
 *
 * @throws CniError of all that failed; then the VF is not free
 */
export async function giveBack(host: Host, folder: string, record: SriovRecord, where: Whereabouts): Promise<void> {
  const seen = lookAt(record.deviceId, host.sysfs);
  if (seen === undefined) {
    host.log(`VF "${record.deviceId}" is gone: nothing is left to give back`);
  } else {
    await doAll([
      () => resetVf(host, seen, record),
      () => bringHome(host, seen, record, where.netnsPaths, where.ifName),
      () => resetVf(host, seen, record),
    ]);
  }
  removeOwner(folder, record.deviceId);
}

/**
 * Has the VF been given to somebody else since? Then it is not touched.
 *
 * @param netnsPath of the attachment; '' when it is not known
 * @param name of the attachment's record
 */
export function isSomebodyElses(
  host: Host,
  folder: string,
  { deviceId }: SriovRecord,
  { netnsPath, name }: { readonly netnsPath: string; readonly name: string },
): boolean {
  const owner = ownerOf(folder, deviceId);
  if (owner === undefined || owner === netnsPath || !isAlive(host, owner)) {
    return false;
  }
  return (
    netnsPath !== '' ||
    listRecords(folder, () => undefined).some((other) => other.name !== name && other.record.deviceId === deviceId)
  );
}
