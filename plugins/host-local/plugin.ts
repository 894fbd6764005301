import type { Attachment, AttachmentCall, DeletionCall, NetworkCall, PodCall } from '../../lib/cni/call.ts';
import { CniError, messageOf } from '../../lib/cni/errors.ts';
import { lookUp } from '../../lib/cni/json.ts';
import { definePlugin, type Plugin } from '../../lib/cni/plugin.ts';
import { cidrOf, parseResult, type Result } from '../../lib/cni/result.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { formatCidr } from '../../lib/net/cidr.ts';
import { formatIp, sameIp } from '../../lib/net/ip.ts';
import { probeFolder } from '../../lib/sys/probe-folder.ts';
import { HostLocalConf } from './config.ts';
import { examine } from './examine.ts';
import { fullnessOf } from './fullness.ts';
import type { Owner } from './owners.ts';
import { folderIn } from './place.ts';
import { rangeFor } from './ranges.ts';
import { listRecords } from './recorded.ts';
import { readResolvConf } from './resolv-conf.ts';
import type { Candidate } from './rotation.ts';
import { readSettings } from './settings.ts';
import { openStore } from './store.ts';

export const hostLocal: Plugin = definePlugin<HostLocalConf>({
  name: 'host-local',
  about: 'host-local: gives out IP addresses of this node and keeps a file for each',
  conf: HostLocalConf,
  add,
  del,
  check,
  status,
  gc,
  records: listRecords,
  examine,
  validate: (call) => void readSettings(call, { mayAwaitRanges: true }),
  foresee: async (call) => void readSettings(call),
});

async function add(call: PodCall<HostLocalConf>, scope: Scope): Promise<Result> {
  const { folder, sets, requested, routes, resolvConf } = readSettings(call);
  const dns = resolvConf === '' ? {} : readResolvConf(resolvConf);
  const given = await openStore(folder, scope).reserve({ owner: ownerOf(call), sets, requested });
  return { interfaces: [], ips: given.map(ipConfigOf), routes, dns };
}

async function del(call: DeletionCall, scope: Scope): Promise<void> {
  await openStore(folderIn(call), scope).release(ownerOf(call));
}

async function check(call: PodCall<HostLocalConf>, scope: Scope): Promise<void> {
  const { folder, sets } = readSettings(call);
  const held = await openStore(folder, scope).held(ownerOf(call));
  if (held.length === 0) {
    throw new CniError('internal', `host-local: Failed to find address added by container ${call.containerId}`);
  }
  const previous = lookUp(call.document, 'prevResult') ?? undefined;
  if (previous === undefined) {
    return;
  }
  const inUse = parseResult(previous, call.version, 'prevResult').ips.map((ip) => cidrOf(ip).ip);
  const lost = inUse.find((ip) => sets.some((set) => rangeFor(set, ip)) && !held.some((one) => sameIp(one.ip, ip)));
  if (lost !== undefined) {
    throw new CniError('internal', `cannot find the reservation of ${formatIp(lost)} of prevResult in "${folder}"`);
  }
}

async function status(call: NetworkCall<HostLocalConf>, scope: Scope): Promise<void> {
  const { folder, sets } = readSettings(call, { mayAwaitRanges: true });
  try {
    probeFolder(folder);
  } catch (error) {
    throw new CniError('notAvailable', messageOf(error), { cause: error });
  }
  for (const { set, free } of fullnessOf(folder, sets)) {
    if (free <= 0n) {
      scope.log(`no IP addresses available in range set: ${set}`);
    }
  }
}

async function gc(
  call: NetworkCall<HostLocalConf>,
  scope: Scope,
  valid: readonly Attachment[] | undefined,
): Promise<void> {
  if (valid === undefined) {
    return; // the runtime did not say what is valid, which is not "nothing is"
  }
  await openStore(folderIn(call), scope).collect(valid);
}

const ownerOf = ({ containerId, ifName }: AttachmentCall<unknown>): Owner => ({ id: containerId, ifname: ifName });

const ipConfigOf = ({ ip, range: { subnet, gateway } }: Candidate) => ({
  address: formatCidr({ ip, prefix: subnet.prefix }),
  ...(gateway === undefined ? {} : { gateway: formatIp(gateway) }),
});
