import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cidrOf, type Result } from '../../../lib/cni/result.ts';
import type { Scope } from '../../../lib/cni/scope.ts';
import { type BusDevice, findBusDevice } from '../../../lib/sys/bus-device.ts';
import { poll } from '../../../lib/sys/clock.ts';
import { type RdmaStatus, rdmaStatusOf } from './rdma-status.ts';

/** An attachment, as far as its RDMA device is concerned. */
export interface RdmaAttachment {
  readonly ifName: string;
  readonly result: Result;
  /** of its device; '' when it has none, or none is known but from the result */
  readonly deviceId: string;
}

/** The kernel puts addresses into the tables of ports when it comes to it. */
const PATIENCE_MS = 200;
const PAUSES = { firstMs: 5, longestMs: 40 };

/**
 * The RDMA devices of attachments, in order. Waits a moment for those whose address is not in the table yet.
 *
 * @returns undefined for those that have none
 */
export async function rdmaOf(
  scope: Pick<Scope, 'now' | 'sleep' | 'node'>,
  attachments: readonly RdmaAttachment[],
): Promise<readonly (RdmaStatus | undefined)[]> {
  const { sysfs } = scope.node;
  const questions = attachments.map(({ ifName, result, deviceId }) => ({
    ifName,
    ips: result.ips.map((ip) => cidrOf(ip).ip),
    device: deviceOf(deviceId, result, sysfs),
    sysfs,
  }));
  let found: readonly (RdmaStatus | undefined)[] = [];
  await poll(scope, PATIENCE_MS, PAUSES, () => {
    found = questions.map(rdmaStatusOf);
    const isLate = found.some((one, index) => isIncomplete(one, sysfs) && (questions[index]?.ips.length ?? 0) > 0);
    return isLate ? undefined : true;
  });
  return found;
}

function deviceOf(deviceId: string, { interfaces }: Result, sysfs: string): BusDevice | undefined {
  const name = deviceId || interfaces.find(({ pciID }) => pciID !== undefined)?.pciID;
  try {
    return name === undefined ? undefined : findBusDevice(name, 'deviceID', sysfs);
  } catch {
    return undefined; // a name on another bus: of vdpa, of what a device plugin makes up
  }
}

/** Only ports of Ethernet have addresses; those of a device in another namespace cannot be seen. */
const isIncomplete = (status: RdmaStatus | undefined, sysfs: string): boolean =>
  status !== undefined &&
  status['gid-index'] === undefined &&
  globSync('ports/*/link_layer', { cwd: join(sysfs, 'class/infiniband', status.device) }).some(
    (path) => readFileSync(join(sysfs, 'class/infiniband', status.device, path), 'utf8').trim() === 'Ethernet',
  );
