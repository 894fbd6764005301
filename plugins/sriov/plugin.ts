import { accessSync, constants, existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { refuseUnprintable } from '../../lib/cni/addressed.ts';
import { parseCniArgs } from '../../lib/cni/args.ts';
import type { Attachment, NetworkCall, PodCall } from '../../lib/cni/call.ts';
import { CniError, runAll } from '../../lib/cni/errors.ts';
import { ipamForesee, ipamForward } from '../../lib/cni/ipam.ts';
import { definePlugin, type Plugin } from '../../lib/cni/plugin.ts';
import { refuseLongRecord } from '../../lib/cni/record-name.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { ioError } from '../../lib/sys/io-error.ts';
import { addVf } from './add.ts';
import { stateFolder } from './allocations.ts';
import { checkVf } from './check.ts';
import { SriovConf } from './config.ts';
import { collect, deleteVf } from './del.ts';
import { examine } from './examine.ts';
import { withLog } from './log.ts';
import { deviceIdOf, planSriov, wantedMacOf } from './plan.ts';
import { listRecords } from './recorded.ts';

export const sriov: Plugin = definePlugin<SriovConf>({
  name: 'sriov',
  about: 'sriov: moves a virtual function of a NIC into a pod',
  conf: SriovConf,
  add: (call, scope) => addVf(call, withLog(call.document, scope)),
  del: (call, scope) => deleteVf(call, withLog(call.document, scope)),
  check: (call, scope) => checkVf(call, withLog(call.document, scope)),
  status,
  gc,
  records: listRecords,
  examine,
  validate,
  foresee,
  misnomers: { if0name: 'is a key of old versions: the caller names the interface (CNI_IFNAME)' },
});

/** The caller may pass the device later. */
function validate(call: PodCall<SriovConf>): void {
  refuseUnprintable(call);
  planSriov(call.conf, wantedMacOf(call.conf, parseCniArgs(call.args, ['MAC'])));
  if (call.conf.deviceID !== '') {
    deviceIdOf(call.conf);
  }
}

async function foresee(call: PodCall<SriovConf>, scope: Scope): Promise<void> {
  refuseLongRecord({ containerId: call.containerId, ifName: call.ifName });
  deviceIdOf(call.conf);
  await ipamForesee(call, scope);
}

/** Counting free VFs is up to the device plugin. */
async function status(call: NetworkCall<SriovConf>, scope: Scope): Promise<void> {
  planSriov(call.conf, wantedMacOf(call.conf, {}));
  if (!existsSync(join(scope.node.sysfs, 'bus/pci/devices'))) {
    throw new CniError(
      'notAvailable',
      `cannot find PCI devices: there is no "${join(scope.node.sysfs, 'bus/pci/devices')}"`,
    );
  }
  refuseReadOnly(stateFolder(call.conf.dataDir));
  await ipamForward(call, scope);
}

/** The folder itself is created on demand. */
function refuseReadOnly(folder: string): void {
  let place = folder;
  while (!existsSync(place) && dirname(place) !== place) {
    place = dirname(place);
  }
  try {
    accessSync(place, constants.W_OK);
  } catch (error) {
    throw new CniError('notAvailable', ioError('write to', place, error).message, { cause: error });
  }
}

/** Collects attachments that the runtime no longer knows; without a list of valid ones, none. */
async function gc(call: NetworkCall<SriovConf>, scope: Scope, valid: readonly Attachment[] | undefined): Promise<void> {
  await runAll([
    async () => {
      if (valid !== undefined) {
        await collect(call, withLog(call.document, scope), valid);
      }
    },
    () => ipamForward(call, scope),
  ]);
}
