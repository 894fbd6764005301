import { addressLink, refuseUnprintable, releaseAfter } from '../../lib/cni/addressed.ts';
import type { Attachment, DeletionCall, NetworkCall, PodCall } from '../../lib/cni/call.ts';
import { CniError, messageOf, runAll } from '../../lib/cni/errors.ts';
import { ipamAdd, ipamForesee, ipamForward, ipamType } from '../../lib/cni/ipam.ts';
import { textIn } from '../../lib/cni/json.ts';
import { definePlugin, type Plugin } from '../../lib/cni/plugin.ts';
import { refuseLongRecord } from '../../lib/cni/record-name.ts';
import { EMPTY_RESULT, type Interface, type Result } from '../../lib/cni/result.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { Undo } from '../../lib/cni/undo.ts';
import { removeStaleLocks } from '../../lib/sys/lock.ts';
import { checkDevice } from './check.ts';
import { claimDevice } from './claim.ts';
import { HostDeviceConf } from './config.ts';
import { examine } from './examine.ts';
import { giveBack, giveBackRecorded } from './give-back.ts';
import { bringHome, openRecorded } from './home.ts';
import { inheritedAddresses, inheritNetwork } from './inherit.ts';
import { type DeviceRecord, nameOf, recordsIn } from './record.ts';
import { listRecords, recordFolders } from './recorded.ts';
import { findSelected, resolveSelector, selectorText } from './select.ts';
import { refuseTakenName, takeDevice } from './take.ts';

export const hostDevice: Plugin = definePlugin<HostDeviceConf>({
  name: 'host-device',
  about: 'host-device: moves a network device of the node into a pod',
  conf: HostDeviceConf,
  add,
  del,
  check,
  status,
  gc,
  records: listRecords,
  lockFolders: recordFolders,
  examine,
  foresee,
  validate: (call) => {
    if (!call.conf.useInterfaceNetwork) {
      refuseUnprintable(call);
    }
  },
});

/** Checks the selectors, the device on its bus, and the length of record names. */
async function foresee(call: PodCall<HostDeviceConf>, scope: Scope): Promise<void> {
  const { conf, containerId, ifName } = call;
  refuseLongRecord({ containerId, ifName });
  if (resolveSelector(conf, scope.node.sysfs).isUserspace || !conf.useInterfaceNetwork) {
    refuseUnprintable(call);
  }
  await ipamForesee(call, scope);
}

async function add(call: PodCall<HostDeviceConf>, scope: Scope): Promise<Result> {
  const { conf, containerId, ifName } = call;
  refuseLongRecord({ containerId, ifName });
  const wanted = resolveSelector(conf, scope.node.sysfs);
  using netns = scope.node.openNetns(call.netnsPath);
  if (wanted.isUserspace) {
    return await addressOnly(call, scope);
  }
  if (!conf.useInterfaceNetwork) {
    refuseUnprintable(call);
  }
  await scope.linksMade(); // which may be on this device
  await refuseTakenName(call, netns);
  const records = recordsIn(conf.dataDir);
  using claimed = await claimDevice(scope, wanted, records, call.ifName);
  await using undo = new Undo(scope);
  const { device, record } = await takeDevice(call, scope, claimed.device, { netns, records, undo });
  const own: Interface = { name: device.name, mac: device.mac, sandbox: call.netnsPath };
  const { kept } = record.picture;
  const more = conf.useInterfaceNetwork ? inheritedAddresses(kept) : EMPTY_RESULT;
  const takeAway = async (unending: Scope) => void (await bringHome(unending, { ...record, restore: true }, netns));
  const addressed = await addressLink(
    call,
    scope,
    { netns, link: device, own, dns: dnsOf(call), takeAway, more },
    undo,
  );
  const was = { name: record.picture.device.name, kept };
  const result = conf.useInterfaceNetwork ? await inheritNetwork(netns.netlink, device, was, addressed) : addressed;
  undo.commit();
  return result;
}

/** The userspace driver in the pod configures the addresses itself. */
async function addressOnly(call: PodCall<HostDeviceConf>, scope: Scope): Promise<Result> {
  const own: Interface = { name: call.ifName, sandbox: call.netnsPath };
  refuseUnprintable(call);
  await using undo = new Undo(scope);
  const leases = ipamType(call.document) === '' ? EMPTY_RESULT : await ipamAdd(call, scope, undo);
  undo.commit();
  const ips = leases.ips.map((ip) => ({ ...ip, interface: 0 }));
  return { interfaces: [own], ips, routes: leases.routes, dns: dnsOf(call) };
}

/** As in the Go plugin, `dns` counts only with an IPAM plugin. */
const dnsOf = (call: PodCall<HostDeviceConf>): Result['dns'] => (ipamType(call.document) === '' ? {} : call.conf.dns);

function del(call: DeletionCall, scope: Scope): Promise<void> {
  return releaseAfter(call, scope, async () => {
    await giveBack(call, scope);
    removeStaleLocks(scope, recordsIn(textIn(call.document, 'dataDir')).path);
  });
}

async function check(call: PodCall<HostDeviceConf>, scope: Scope): Promise<void> {
  const { isUserspace } = resolveSelector(call.conf, scope.node.sysfs);
  using netns = scope.node.openNetns(call.netnsPath);
  await ipamForward(call, scope);
  if (!isUserspace) {
    await checkDevice(call, netns, recordsIn(call.conf.dataDir).read(nameOf(call)));
  }
}

/** Fails unless the device is on the node or in a pod. */
async function status(call: NetworkCall<HostDeviceConf>, scope: Scope): Promise<void> {
  try {
    const wanted = resolveSelector(call.conf, scope.node.sysfs);
    const place = { netlink: scope.node.host.netlink, sysfs: scope.node.sysfs };
    if (!wanted.isUserspace && (await findSelected(wanted, place)) === undefined && !(await isTaken(call, scope))) {
      throw new CniError('notAvailable', `cannot find ${selectorText(wanted)} on the host, and no pod has it`);
    }
  } catch (error) {
    throw new CniError('notAvailable', messageOf(error), { cause: error });
  }
  await ipamForward(call, scope);
}

async function isTaken({ conf, network }: NetworkCall<HostDeviceConf>, scope: Scope): Promise<boolean> {
  for (const { record } of recordsIn(conf.dataDir).list(scope.log)) {
    using netns = record.network === network ? await openRecorded(scope, record) : undefined;
    if (netns !== undefined) {
      return true;
    }
  }
  return false;
}

async function gc(
  call: NetworkCall<HostDeviceConf>,
  scope: Scope,
  valid: readonly Attachment[] | undefined,
): Promise<void> {
  const records = recordsIn(call.conf.dataDir);
  const isValid = ({ containerId, ifName }: DeviceRecord): boolean =>
    valid === undefined || valid.some(({ containerID, ifname }) => containerID === containerId && ifname === ifName);
  const invalid = records
    .list(scope.log)
    .map(({ record }) => record)
    .filter((record) => record.network === call.network && !isValid(record));
  await runAll([
    ...invalid.map((record) => () => giveBackRecorded(scope, records, record)),
    async () => removeStaleLocks(scope, records.path),
    () => ipamForward(call, scope),
  ]);
}
