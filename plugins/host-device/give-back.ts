import { CniError } from '../../lib/cni/errors.ts';
import { type JsonObject, lookUp } from '../../lib/cni/json.ts';
import type { Call, Host } from '../../lib/cni/plugin.ts';
import { isNetnsOf, reopenIfHere, sandboxOfDevice } from '../../lib/cni/sandbox.ts';
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
export async function giveBack(call: Call<JsonObject>, host: Host): Promise<void> {
  const records = recordsIn(dataDirOf(call.document));
  const record = records.readOrLog(nameOf(call), (line) =>
    host.log(`${line}; the device is brought home by its alias`),
  );
  if (record !== undefined) {
    await giveBackRecorded(host, records, { ...record, netns: call.netnsPath || record.netns });
    return;
  }
  using netns = await reopenIfHere(host, sandboxOfDevice(call));
  if (netns === undefined) {
    await recallByAlias(call, host);
  } else if (!isAnothers(call, host, netns, records)) {
    await returnByAlias(call, host, netns);
  }
  records.remove(nameOf(call)); // one that could not be read
}

/** Brings a device home from wherever it is, and forgets it. */
export async function giveBackRecorded(host: Host, records: Records, record: DeviceRecord): Promise<void> {
  using _lock = await lockForRelease(host.log, () => lockDevice(host, records, record.picture.device));
  using netns = await openRecorded(host, record);
  if (await bringHome(host, record, netns)) {
    records.remove(nameOf(record));
  }
}

/** Two containers may share a namespace, and have asked for the same name: the one that got it has the record. */
const isAnothers = ({ ifName }: Call<JsonObject>, host: Host, netns: Netns, records: Records): boolean =>
  records.list(host.log).some(({ record }) => record.ifName === ifName && isNetnsOf(host, netns, record.namespace));

/** The Go plugin keeps the name from before in the link's alias, and nothing else. */
async function returnByAlias(call: Call<JsonObject>, host: Host, netns: Netns): Promise<void> {
  const device = await findDevice(netns.netlink, call.ifName);
  if (device === undefined) {
    return;
  }
  if (ifNameFault(device.alias) !== undefined) {
    host.log(`link "${device.name}" stays in the container: it has no alias that says what it was called before`);
    return;
  }
  await moveOutOf(host, netns, device, { name: device.alias, alias: '' });
}

/** The Go plugin's device whose namespace died: it is here, under the name that it had there. */
async function recallByAlias(call: Call<JsonObject>, host: Host): Promise<void> {
  const device = await findDevice(host.netns.netlink, call.ifName);
  if (device === undefined || !isAskedFor(device, call.document) || ifNameFault(device.alias) !== undefined) {
    return;
  }
  if ((await findLink(host.netns.netlink, device.alias)) !== undefined) {
    throw new CniError('internal', `cannot call link "${device.name}" "${device.alias}" again: that name is taken`);
  }
  await setAlias(host.netns.netlink, await renameLink(host.netns, device, device.alias), '');
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
