import type { DeletionCall } from '../../lib/cni/call.ts';
import { CniError } from '../../lib/cni/errors.ts';
import { type JsonObject, lookUp } from '../../lib/cni/json.ts';
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
 * The device's part of DEL. A namespace, a device or a record that is not there is no failure.
 *
 * @throws CniError, ErrnoError when the device cannot leave the pod
 */
export async function giveBack(call: DeletionCall, scope: Scope): Promise<void> {
  const records = recordsIn(dataDirOf(call.document));
  const record = records.readOrLog(nameOf(call), (line) =>
    scope.log(`${line}; the device is brought home by its alias`),
  );
  if (record !== undefined) {
    await giveBackRecorded(scope, records, { ...record, netns: call.netnsPath || record.netns });
    return;
  }
  using netns = await reopenIfHere(scope, sandboxOfDevice(call));
  if (netns === undefined) {
    await recallByAlias(call, scope);
  } else if (!isAnothers(call, scope, netns, records)) {
    await returnByAlias(call, scope, netns);
  }
  records.remove(nameOf(call)); // one that could not be read
}

/** Brings a device home from wherever it is, and forgets it. */
export async function giveBackRecorded(scope: Scope, records: Records, record: DeviceRecord): Promise<void> {
  using _lock = await lockForRelease(scope.log, () => lockDevice(scope, records, record.picture.device));
  using netns = await openRecorded(scope, record);
  if (await bringHome(scope, record, netns)) {
    records.remove(nameOf(record));
  }
}

/** Two containers may share a namespace, and have asked for the same name: the one that got it has the record. */
const isAnothers = ({ ifName }: DeletionCall, scope: Scope, netns: Netns, records: Records): boolean =>
  records.list(scope.log).some(({ record }) => record.ifName === ifName && isNetnsOf(scope, netns, record.namespace));

/** The Go plugin keeps the name from before in the link's alias, and nothing else. */
async function returnByAlias(call: DeletionCall, scope: Scope, netns: Netns): Promise<void> {
  const device = await findDevice(netns.netlink, call.ifName);
  if (device === undefined) {
    return;
  }
  if (ifNameFault(device.alias) !== undefined) {
    scope.log(`link "${device.name}" stays in the container: it has no alias that says what it was called before`);
    return;
  }
  await moveOutOf(scope, netns, device, { name: device.alias, alias: '' });
}

/** The Go plugin's device whose namespace died: it is here, under the name that it had there. */
async function recallByAlias(call: DeletionCall, scope: Scope): Promise<void> {
  const device = await findDevice(scope.node.host.netlink, call.ifName);
  if (device === undefined || !isAskedFor(device, call.document) || ifNameFault(device.alias) !== undefined) {
    return;
  }
  if ((await findLink(scope.node.host.netlink, device.alias)) !== undefined) {
    throw new CniError('internal', `cannot call link "${device.name}" "${device.alias}" again: that name is taken`);
  }
  await setAlias(scope.node.host.netlink, await renameLink(scope.node.host, device, device.alias), '');
}

/** Only a device that the configuration names without doubt: another one may be called so by its owner. */
function isAskedFor(device: DeviceFacts, document: JsonObject): boolean {
  const runtime = lookUp(document, 'runtimeConfig') as JsonObject | undefined;
  const names = [lookUp(document, 'device'), lookUp(document, 'pciBusID'), runtime && lookUp(runtime, 'deviceID')];
  return names.some(
    (name) => typeof name === 'string' && name !== '' && [device.alias, device.parentDev].includes(name.toLowerCase()),
  );
}

/** '' when the document says nothing that can be used. */
export function dataDirOf(document: JsonObject): string {
  const value = lookUp(document, 'dataDir');
  return typeof value === 'string' ? value : '';
}
