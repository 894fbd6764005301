import { addressLink, refuseUnprintable, releaseAfter } from '../../lib/cni/addressed.ts';
import { CniError, doAll, messageOf } from '../../lib/cni/errors.ts';
import { ipamAdd, ipamForesee, ipamForward, ipamType } from '../../lib/cni/ipam.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import type { Attachment, Call, Host, Plugin } from '../../lib/cni/plugin.ts';
import { refuseLongRecord } from '../../lib/cni/record-name.ts';
import { EMPTY_RESULT, type Interface, type Result } from '../../lib/cni/result.ts';
import { Undo } from '../../lib/cni/undo.ts';
import { removeStaleLocks } from '../../lib/sys/lock.ts';
import { checkDevice } from './check.ts';
import { claimDevice } from './claim.ts';
import { HostDeviceConf } from './config.ts';
import { examine } from './examine.ts';
import { dataDirOf, giveBack, giveBackRecorded } from './give-back.ts';
import { bringHome, openRecorded } from './home.ts';
import { inheritedAddresses, inheritTheRest } from './inherit.ts';
import { type DeviceRecord, nameOf, recordsIn } from './record.ts';
import { recorded } from './recorded.ts';
import { findWanted, selectorText, wantedBy } from './select.ts';
import { refuseTakenName, takeDevice } from './take.ts';

export const hostDevice: Plugin<HostDeviceConf> = {
  name: 'host-device',
  about: 'host-device: gives a pod a device of the node, whole',
  conf: HostDeviceConf,
  add,
  del,
  check,
  status,
  gc,
  records: recorded,
  examine,
  foresee,
  validate: (call) => {
    if (!call.conf.useInterfaceNetwork) {
      refuseUnprintable(call);
    }
  },
};

/** What the device is, where the bus tells it, and what the pod's files would be called. */
async function foresee(call: Call<HostDeviceConf>, host: Host): Promise<void> {
  const { conf, containerId, ifName } = call;
  refuseLongRecord({ containerId, ifName });
  if (wantedBy(conf, host.sysfs).isUserspace || !conf.useInterfaceNetwork) {
    refuseUnprintable(call);
  }
  await ipamForesee(call, host);
}

async function add(call: Call<HostDeviceConf>, host: Host): Promise<Result> {
  const { conf, containerId, ifName } = call;
  refuseLongRecord({ containerId, ifName });
  const wanted = wantedBy(conf, host.sysfs);
  using netns = host.openNetns(call.netnsPath);
  if (wanted.isUserspace) {
    return addressOnly(call, host);
  }
  if (!conf.useInterfaceNetwork) {
    refuseUnprintable(call);
  }
  await refuseTakenName(call, netns);
  const records = recordsIn(conf.dataDir);
  using claimed = await claimDevice(host, wanted, records, call.ifName);
  await using undo = new Undo(host.log);
  const { device, record } = await takeDevice(call, host, claimed.device, { netns, records, undo });
  const own: Interface = { name: device.name, mac: device.mac, sandbox: call.netnsPath };
  const { kept } = record.picture;
  const more = conf.useInterfaceNetwork ? inheritedAddresses(kept) : EMPTY_RESULT;
  const takeAway = async () => void (await bringHome(host, { ...record, restore: true }, netns));
  const addressed = await addressLink(call, host, { netns, link: device, own, dns: dnsOf(call), takeAway, more }, undo);
  const was = { name: record.picture.device.name, kept };
  const result = conf.useInterfaceNetwork ? await inheritTheRest(netns.netlink, device, was, addressed) : addressed;
  undo.commit();
  return result;
}

/** The program in the pod that gets the device must configure the addresses itself. */
async function addressOnly(call: Call<HostDeviceConf>, host: Host): Promise<Result> {
  const own: Interface = { name: call.ifName, sandbox: call.netnsPath };
  refuseUnprintable(call);
  await using undo = new Undo(host.log);
  const leases = ipamType(call.document) === '' ? EMPTY_RESULT : await ipamAdd(call, host, undo);
  undo.commit();
  const ips = leases.ips.map((ip) => ({ ...ip, interface: 0 }));
  return { interfaces: [own], ips, routes: leases.routes, dns: dnsOf(call) };
}

/** As the Go plugin has it, `dns` is part of what an IPAM plugin is configured for. */
const dnsOf = (call: Call<HostDeviceConf>): Result['dns'] => (ipamType(call.document) === '' ? {} : call.conf.dns);

function del(call: Call<JsonObject>, host: Host): Promise<void> {
  return releaseAfter(call, host, async () => {
    await giveBack(call, host);
    removeStaleLocks(host, recordsIn(dataDirOf(call.document)).path);
  });
}

async function check(call: Call<HostDeviceConf>, host: Host): Promise<void> {
  const { isUserspace } = wantedBy(call.conf, host.sysfs);
  using netns = host.openNetns(call.netnsPath);
  await ipamForward(call, host);
  if (!isUserspace) {
    await checkDevice(call, netns, recordsIn(call.conf.dataDir).read(nameOf(call)));
  }
}

/** The device is here, or a pod has it. */
async function status(call: Call<HostDeviceConf>, host: Host): Promise<void> {
  try {
    const wanted = wantedBy(call.conf, host.sysfs);
    const place = { netlink: host.netns.netlink, sysfs: host.sysfs };
    if (!wanted.isUserspace && (await findWanted(wanted, place)) === undefined && !(await isTaken(call, host))) {
      throw new CniError('notAvailable', `cannot find ${selectorText(wanted)}, and no pod has it`);
    }
  } catch (error) {
    throw new CniError('notAvailable', messageOf(error), { cause: error });
  }
  await ipamForward(call, host);
}

async function isTaken({ conf, network }: Call<HostDeviceConf>, host: Host): Promise<boolean> {
  for (const { record } of recordsIn(conf.dataDir).list(host.log)) {
    using netns = record.network === network ? await openRecorded(host, record) : undefined;
    if (netns !== undefined) {
      return true;
    }
  }
  return false;
}

async function gc(call: Call<HostDeviceConf>, host: Host, valid: readonly Attachment[] | undefined): Promise<void> {
  const records = recordsIn(call.conf.dataDir);
  const isValid = ({ containerId, ifName }: DeviceRecord): boolean =>
    valid === undefined || valid.some(({ containerID, ifname }) => containerID === containerId && ifname === ifName);
  const invalid = records
    .list(host.log)
    .map(({ record }) => record)
    .filter((record) => record.network === call.network && !isValid(record));
  await doAll([
    ...invalid.map((record) => () => giveBackRecorded(host, records, record)),
    () => ipamForward(call, host),
  ]);
}
