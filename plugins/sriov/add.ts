import { refuseUnprintable } from '../../lib/cni/addressed.ts';
import { parseCniArgs } from '../../lib/cni/args.ts';
import type { PodCall } from '../../lib/cni/call.ts';
import { CniError } from '../../lib/cni/errors.ts';
import { refuseLongRecord } from '../../lib/cni/record-name.ts';
import type { Result } from '../../lib/cni/result.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { Undo } from '../../lib/cni/undo.ts';
import { findLink } from '../../lib/link/observe.ts';
import { NO_MAC } from '../../lib/link/vf.ts';
import { setVf, type VfAttribute, type VfChanges, VfRefused } from '../../lib/link/vf-change.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import { driverOf } from '../../lib/sys/bus-device.ts';
import { setOwner, stateFolder } from './allocations.ts';
import { addressInterface, addressProgram, announceResult, moveIn } from './attach.ts';
import { claimVf } from './claim.ts';
import type { SriovConf } from './config.ts';
import { findVf } from './discover.ts';
import { giveBack } from './give-back.ts';
import { type Observed, observeVf, recordOf, wantedVf } from './observe.ts';
import { deviceIdOf, planSriov, type SriovPlan, wantedMacOf } from './plan.ts';
import type { SriovRecord } from './record.ts';
import { nameOf, type Records, recordsIn, sandboxOfRecord } from './records.ts';
import { retryTransient } from './retry.ts';

/** What an ADD works with. */
interface Attempt {
  readonly call: PodCall<SriovConf>;
  readonly scope: Scope;
  readonly netns: Netns;
  readonly records: Records;
  readonly plan: SriovPlan;
  readonly undo: Undo;
}

/** ADD. Everything that can be refused is refused before the VF is touched; after that, a failure undoes everything. */
export async function addVf(call: PodCall<SriovConf>, scope: Scope): Promise<Result> {
  refuseUnprintable(call);
  refuseLongRecord({ containerId: call.containerId, ifName: call.ifName });
  const deviceId = deviceIdOf(call.conf);
  const plan = planSriov(call.conf, wantedMacOf(call.conf, parseCniArgs(call.args, ['MAC'])));
  using netns = scope.node.openNetns(call.netnsPath);
  await scope.linksMade(); // which may be on this device
  const folder = stateFolder(call.conf.dataDir);
  const found = findVf(deviceId, scope.node.sysfs);
  const records = recordsIn(folder);
  using _lock = await claimVf(call, scope, records, deviceId);
  await using undo = new Undo(scope);
  const result = await attach({ call, scope, netns, records, plan, undo }, await observeVf(scope, found));
  undo.commit();
  return result;
}

async function attach(attempt: Attempt, observed: Observed): Promise<Result> {
  const { call, scope, netns, plan, undo } = attempt;
  const { device, pf, vf } = observed;
  await refuseUnusable(attempt, observed);
  const wanted = wantedVf(observed, plan, call.conf.preclean);
  const record = recordOf(attempt, observed, plan, wanted.before);
  const takeAway = begin(attempt, record);
  await changeVf(scope, observed, wanted.changes);
  if (device === undefined) {
    const mac = plan.mac ?? (vf.mac === NO_MAC ? undefined : vf.mac);
    const own = { name: call.ifName, ...(mac === undefined ? {} : { mac }), mtu: pf.mtu, sandbox: call.netnsPath };
    const result = await addressProgram(call, scope, own, undo);
    finish(attempt, record);
    return result;
  }
  const moved = await moveIn(scope, netns, device, plan, call.ifName);
  const result = await addressInterface(call, scope, netns, moved, { takeAway, undo });
  finish(attempt, record);
  await announceResult(scope, netns, moved, result);
  return result;
}

/** Refuses what the VF does not support and a name that the pod already has. */
async function refuseUnusable({ call, netns, plan }: Attempt, { device, found }: Observed): Promise<void> {
  if (device !== undefined && (await findLink(netns.netlink, call.ifName)) !== undefined) {
    throw new CniError('internal', `cannot add interface "${call.ifName}": it already exists in "${netns.path}"`);
  }
  if (device === undefined && plan.mtu !== undefined) {
    throw new CniError(
      'invalidNetworkConfig',
      `cannot use "mtu" ${plan.mtu}: userspace driver "${driverOf(found.device)}" is bound to the VF, so it has no interface`,
    );
  }
}

/**
 * Records the VF's state and owner before it is touched.
 *
 * @returns a function that gives the VF back
 */
function begin({ call, records, undo }: Attempt, record: SriovRecord): (scope: Scope) => Promise<void> {
  const named = { name: nameOf(call), record };
  const location = { sandboxes: [sandboxOfRecord(records, named)], ifName: call.ifName };
  const takeAway = async (scope: Scope): Promise<void> => {
    await giveBack(scope, records, named, location);
    records.remove(named.name);
  };
  records.write(named.name, record);
  undo.push(`give VF "${record.deviceId}" back`, takeAway);
  setOwner(records.path, record.deviceId, call.netnsPath);
  return takeAway;
}

function finish({ call, records }: Attempt, record: ReturnType<typeof recordOf>): void {
  records.write(nameOf(call), { ...record, own: { ...record.own, phase: 'attached' } });
}

/** Configuration keys by VF attribute. */
const KEYS: Readonly<Record<VfAttribute, string>> = {
  vlan: '"vlan"',
  mac: '"mac"',
  rate: '"min_tx_rate" or "max_tx_rate"',
  spoofCheck: '"spoofchk"',
  trust: '"trust"',
  linkState: '"link_state"',
};

async function changeVf(scope: Scope, { found, pf }: Observed, changes: VfChanges): Promise<void> {
  try {
    await retryTransient(scope, () => setVf(scope.node.host.netlink, pf, found.number, changes));
  } catch (error) {
    if (!(error instanceof VfRefused)) {
      throw error;
    }
    const isUnknown = ['EOPNOTSUPP', 'EPROTONOSUPPORT'].includes(error.code);
    const isWrong = isUnknown || ['EINVAL', 'ERANGE'].includes(error.code);
    const hint = `; driver "${driverOf(found.pf)}" does not support ${KEYS[error.attribute]}: remove it from the configuration`;
    throw new CniError(isWrong ? 'invalidNetworkConfig' : 'internal', `${error.message}${isUnknown ? hint : ''}`, {
      cause: error,
    });
  }
}
