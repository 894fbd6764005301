import { doAll, messageOf } from '../../lib/cni/errors.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { findPf, type PfFacts, vfOf } from '../../lib/link/vf.ts';
import { differing, setVf, type VfChanges } from '../../lib/link/vf-change.ts';
import type { Seen } from './discover.ts';
import { isFinal, orLog, patiently } from './patience.ts';
import { changesBack, type SriovRecord } from './record.ts';

/**
 * Asks the PF to make the VF what it was. What its driver does not take back is logged, and stops nothing: it will not
 * take it later either, and the VF would be lost. Without a PF that can be asked there is nothing to do.
 *
 * @throws CniError of everything that may succeed another time
 */
export async function resetVf(scope: Scope, seen: Seen, record: SriovRecord): Promise<void> {
  const pf = await findPfOf(scope, seen, record);
  if (pf === undefined || seen.number === undefined) {
    scope.log(`cannot reset VF "${record.deviceId}": its PF has no interface here any more`);
    return;
  }
  const { netlink } = scope.node.host;
  const number = seen.number;
  const changes = stillToDo(scope, pf, number, changesBack(record));
  try {
    await patiently(scope, () => setVf(netlink, pf, number, changes));
  } catch {
    const attributes = Object.keys(changes) as readonly (keyof VfChanges)[];
    await doAll(attributes.map((attribute) => () => resetOne(scope, pf, number, { [attribute]: changes[attribute] })));
  }
}

const resetOne = (scope: Scope, pf: PfFacts, number: number, change: VfChanges): Promise<void> =>
  orLog(scope.log, `VF ${number} of "${pf.name}"`, isFinal, () =>
    patiently(scope, () => setVf(scope.node.host.netlink, pf, number, change)),
  );

async function findPfOf(scope: Scope, { pf, pfName }: Seen, record: SriovRecord): Promise<PfFacts | undefined> {
  const name = pfName ?? record.pfName;
  return name === ''
    ? undefined
    : findPf(scope.node.host.netlink, { name, ...(pf === undefined ? {} : { device: pf }) });
}

/** What differs; everything when the PF does not tell of the VF. */
function stillToDo(scope: Scope, pf: PfFacts, number: number, changes: VfChanges): VfChanges {
  try {
    return differing(vfOf(pf, number), changes);
  } catch (error) {
    scope.log(messageOf(error));
    return changes;
  }
}
