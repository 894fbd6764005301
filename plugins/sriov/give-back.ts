import { doAll } from '../../lib/cni/errors.ts';
import { reopen, type Sandbox } from '../../lib/cni/sandbox.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { lookAt } from './discover.ts';
import { bringHome } from './home.ts';
import { ownerOf, removeOwner } from './places.ts';
import { isOfThisLife, type NamedRecord, type Records, sandboxOfRecord } from './records.ts';
import { resetVf } from './reset.ts';

/** Where the interface of a VF may be. */
export interface InterfaceLocation {
  /** the likeliest first */
  readonly sandboxes: readonly Sandbox[];
  /** what it is probably called there */
  readonly ifName: string;
}

/**
 * Makes a VF what it was before the attachment, and frees it. The caller holds its lock. Every step is tried, and all of
 * them can be done again. The PF is asked before the interface gets its own address back, since some drivers let a VF
 * have no address but that of its PF; and once more after it, since others tell it to the PF, which keeps it.
 *
 * What was recorded before a boot, or before the VFs were made anew, only frees the VF: an administrator has set it up
 * since.
 *
 * @throws CniError of all that failed; then the VF is not free
 */
export async function giveBack(
  scope: Scope,
  records: Records,
  named: NamedRecord,
  location: InterfaceLocation,
): Promise<void> {
  const { record } = named;
  const seen = lookAt(record.deviceId, scope.node.sysfs);
  if (seen === undefined) {
    scope.log(`VF "${record.deviceId}" is gone: nothing is left to give back`);
  } else if (isOfThisLife(scope, records, named)) {
    await doAll([
      () => resetVf(scope, seen, record),
      () => bringHome(scope, seen, record, location),
      () => resetVf(scope, seen, record),
    ]);
  } else {
    scope.log(`VF "${record.deviceId}" stays as it is: what was recorded of it is older than the VF`);
  }
  removeOwner(records.path, record.deviceId);
}

/** Has the VF been given to somebody else since, who is there? Then it is not touched. */
export async function isSomebodyElses(scope: Scope, records: Records, { name, record }: NamedRecord): Promise<boolean> {
  const owner = ownerOf(records.path, record.deviceId);
  const others = records
    .list(() => undefined)
    .filter((other) => other.name !== name && other.record.deviceId === record.deviceId)
    // the Go plugin's record has no namespace of its own: the allocation names one, which may be ours
    .filter((other) => other.record.own !== undefined || owner !== record.own?.netns);
  for (const other of others) {
    const { netns } = await reopen(scope, sandboxOfRecord(records, other));
    if (netns !== undefined) {
      netns[Symbol.dispose]();
      return true;
    }
  }
  return false;
}
