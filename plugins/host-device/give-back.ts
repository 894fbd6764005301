import type { DeletionCall } from '../../lib/cni/call.ts';
import { CniError } from '../../lib/cni/errors.ts';
import { type JsonObject, lookUp, textIn } from '../../lib/cni/json.ts';
import { isNetnsOf, reopenIfHere, sandboxOfDevice } from '../../lib/cni/sandbox.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { type DeviceFacts, findDevice, setAlias } from '../../lib/link/device.ts';
import { renameLink } from '../../lib/link/moving.ts';
import { findLink } from '../../lib/link/observe.ts';
import { ifNameFault } from '../../lib/net/if-name.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import { lockForRelease } from '../../lib/sys/lock.ts';
import { lockDevice } from './claim.ts';
import { bringHome, moveOutOf, openRecorded } from './home.ts';
import { type DeviceRecord, nameOf, type Records, recordsIn } from './record.ts';

/**
 * Moves the device back to the node, for DEL. A missing namespace, device or record is no failure.
 *
 * @throws CniError, ErrnoError when the device cannot leave the pod
 */
export async function giveBack(call: DeletionCall, scope: Scope): Promise<void> {
  const records = recordsIn(textIn(call.document, 'dataDir'));
  const record = records.readOrLog(nameOf(call), (line) => scope.log(`${line}; the device is moved back by its alias`));
  if (record !== undefined) {
    await giveBackRecorded(scope, records, { ...record, netns: call.netnsPath || record.netns });
    return;
  }
  using netns = await reopenIfHere(scope, sandboxOfDevice(call));
  if (netns === undefined) {
    await recallByAlias(call, scope);
  } else if (!belongsToAnother(call, scope, netns, records)) {
    await returnByAlias(call, scope, netns);
  }
  records.remove(nameOf(call)); // an unreadable one
}

/** Moves a device back from wherever it is, and deletes its record. */
export async function giveBackRecorded(scope: Scope, records: Records, record: DeviceRecord): Promise<void> {
  using _lock = await lockForRelease(scope.log, () => lockDevice(scope, records, record.picture.device));
  using netns = await openRecorded(scope, record);
  if (await bringHome(scope, record, netns)) {
    records.remove(nameOf(record));
  }
}

/**
 * Two containers may share a namespace and ask for the same interface name: the record belongs to the one that got it.
 */
const belongsToAnother = ({ ifName }: DeletionCall, scope: Scope, netns: Netns, records: Records): boolean =>
  records.list(scope.log).some(({ record }) => record.ifName === ifName && isNetnsOf(scope, netns, record.namespace));

/** The Go plugin keeps only the former name, in the link's alias. */
async function returnByAlias(call: DeletionCall, scope: Scope, netns: Netns): Promise<void> {
  const device = await findDevice(netns.netlink, call.ifName);
  if (device === undefined) {
    return;
  }
  if (ifNameFault(device.alias) !== undefined) {
    scope.log(`link "${device.name}" stays in the container: its alias is not an interface name to restore`);
    return;
  }
  await moveOutOf(scope, netns, device, { name: device.alias, alias: '' });
}

/** A device moved by the Go plugin whose namespace died: it is on the node under its name from the pod. */
async function recallByAlias(call: DeletionCall, scope: Scope): Promise<void> {
  const device = await findDevice(scope.node.host.netlink, call.ifName);
  if (device === undefined || !isNamedInConf(device, call.document) || ifNameFault(device.alias) !== undefined) {
    return;
  }
  if ((await findLink(scope.node.host.netlink, device.alias)) !== undefined) {
    throw new CniError('internal', `cannot rename link "${device.name}" back to "${device.alias}": that name is taken`);
  }
  await setAlias(scope.node.host.netlink, await renameLink(scope.node.host, device, device.alias), '');
}

/** Only a device that the configuration names unambiguously: another may have this name by choice. */
function isNamedInConf(device: DeviceFacts, document: JsonObject): boolean {
  const runtime = lookUp(document, 'runtimeConfig') as JsonObject | undefined;
  const names = [lookUp(document, 'device'), lookUp(document, 'pciBusID'), runtime && lookUp(runtime, 'deviceID')];
  return names.some(
    (name) => typeof name === 'string' && name !== '' && [device.alias, device.parentDev].includes(name.toLowerCase()),
  );
}
