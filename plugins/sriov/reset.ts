import { messageOf, runAll } from '../../lib/cni/errors.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { findPf, type PfFacts, vfOf } from '../../lib/link/vf.ts';
import { pendingChanges, setVf, type VfChanges } from '../../lib/link/vf-change.ts';
import type { VisibleVf } from './discover.ts';
import { changesToRestore, type SriovRecord } from './record.ts';
import { isFinal, logRefusal, retryTransient } from './retry.ts';

/**
 * Restores the VF through the PF. What its driver refuses is logged and fails nothing: a retry would be refused too,
 * and the VF would be lost. Without a reachable PF there is nothing to do.
 *
 * @throws CniError with all transient failures
 */
export async function resetVf(scope: Scope, seen: VisibleVf, record: SriovRecord): Promise<void> {
  const pf = await findPfOf(scope, seen, record);
  if (pf === undefined || seen.number === undefined) {
    scope.log(`cannot reset VF "${record.deviceId}": its PF no longer has an interface on the host`);
    return;
  }
  const { netlink } = scope.node.host;
  const number = seen.number;
  const changes = changesNeeded(scope, pf, number, changesToRestore(record));
  try {
    await retryTransient(scope, () => setVf(netlink, pf, number, changes));
  } catch {
    const attributes = Object.keys(changes) as readonly (keyof VfChanges)[];
    await runAll(attributes.map((attribute) => () => resetOne(scope, pf, number, { [attribute]: changes[attribute] })));
  }
}

const resetOne = (scope: Scope, pf: PfFacts, number: number, change: VfChanges): Promise<void> =>
  logRefusal(scope.log, `VF ${number} of "${pf.name}"`, isFinal, () =>
    retryTransient(scope, () => setVf(scope.node.host.netlink, pf, number, change)),
  );

async function findPfOf(scope: Scope, { pf, pfName }: VisibleVf, record: SriovRecord): Promise<PfFacts | undefined> {
  const name = pfName ?? record.pfName;
  return name === ''
    ? undefined
    : findPf(scope.node.host.netlink, { name, ...(pf === undefined ? {} : { device: pf }) });
}

/** The changes still needed; all of them when the PF does not report the VF. */
function changesNeeded(scope: Scope, pf: PfFacts, number: number, changes: VfChanges): VfChanges {
  try {
    return pendingChanges(vfOf(pf, number), changes);
  } catch (error) {
    scope.log(messageOf(error));
    return changes;
  }
}
