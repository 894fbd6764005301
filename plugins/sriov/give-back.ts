import { runAll } from '../../lib/cni/errors.ts';
import { reopen, type Sandbox } from '../../lib/cni/sandbox.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { ownerOf, removeOwner } from './allocations.ts';
import { inspectVf } from './discover.ts';
import { bringHome } from './home.ts';
import { isSameIncarnation, type NamedRecord, type Records, sandboxOfRecord } from './records.ts';
import { resetVf } from './reset.ts';

/** Where the interface of a VF may be. */
export interface InterfaceLocation {
  /** most likely first */
  readonly sandboxes: readonly Sandbox[];
  /** its expected name there */
  readonly ifName: string;
}

/**
 * Restores a VF to its state before the attachment, and frees it. The caller holds its lock. Every step is tried, and
 * all are idempotent. The PF is reset before the interface gets its own address back, since some drivers allow a VF no
 * other address than the PF's; and again after it, since others report it to the PF, which keeps it.
 *
 * A stale record, from before a reboot or before the VFs were recreated, only frees the VF: an administrator has
 * configured it since.
 *
 * @throws CniError with all failures; then the VF is not freed
 */
export async function giveBack(
  scope: Scope,
  records: Records,
  named: NamedRecord,
  location: InterfaceLocation,
): Promise<void> {
  const { record } = named;
  const seen = inspectVf(record.deviceId, scope.node.sysfs);
  if (seen === undefined) {
    scope.log(`VF "${record.deviceId}" is gone: nothing to restore`);
  } else if (isSameIncarnation(scope, records, named)) {
    await runAll([
      () => resetVf(scope, seen, record),
      () => bringHome(scope, seen, record, location),
      () => resetVf(scope, seen, record),
    ]);
  } else {
    scope.log(
      `VF "${record.deviceId}" is left as it is: its record is stale, from before a reboot or before the VF was recreated`,
    );
  }
  removeOwner(records.path, record.deviceId);
}

/** Whether the VF now belongs to another, living pod. Then it is not touched. */
export async function belongsToAnother(
  scope: Scope,
  records: Records,
  { name, record }: NamedRecord,
): Promise<boolean> {
  const owner = ownerOf(records.path, record.deviceId);
  const others = records
    .list(() => undefined)
    .filter((other) => other.name !== name && other.record.deviceId === record.deviceId)
    // a record of the Go plugin has no namespace; the allocation names one, which may be ours
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
