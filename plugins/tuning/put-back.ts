import type { Attachment, DeletionCall } from '../../lib/cni/call.ts';
import { messageOf, runAll } from '../../lib/cni/errors.ts';
import { reopenIfHere, sandboxOfDevice } from '../../lib/cni/sandbox.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { type DeviceFacts, findDevice, findDeviceByIndex } from '../../lib/link/device.ts';
import { changeSettings, type LinkSettings, oneByOne, settingsMissing, settingsOf } from '../../lib/link/settings.ts';
import { ErrnoError, hasErrno, NoAnswer } from '../../lib/netlink/errno.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import { isShortage } from '../../lib/sys/io-error.ts';
import { nameOf, type Owner, type Records, readRecord, type TuningRecord } from './record.ts';

/**
 * Gives the interface of an attachment back what it had, wherever its namespace is, and forgets that. Without a record,
 * a namespace or an interface there is nothing to do.
 *
 * @throws CniError, ErrnoError when it can be tried again; the record stays then
 */
export async function putBackAt(call: DeletionCall, records: Records, scope: Scope): Promise<void> {
  const record = readRecord(records, call, scope.log);
  if (record === undefined) {
    return;
  }
  const { owner, before } = record;
  if (owner !== undefined && (owner.containerId !== call.containerId || owner.ifName !== call.ifName)) {
    return; // container "a_b" with interface "c" and "a" with "b_c" have one file name
  }
  if (owner !== undefined) {
    await putBackOwned(owner, before, scope);
  } else {
    using netns = await reopenIfHere(scope, sandboxOfDevice(call));
    const device = netns && (await findDevice(netns.netlink, call.ifName));
    if (netns !== undefined && device !== undefined) {
      await putBack(netns, device, before, scope);
    }
  }
  records.remove(nameOf(call));
}

/** In the namespace that it was, and of the link that it was: another one of the same name is left alone. */
async function putBackOwned(owner: Owner, before: LinkSettings, scope: Scope): Promise<void> {
  using netns = await reopenIfHere(scope, { path: owner.netns, identity: owner.namespace });
  const device = netns && (await findDeviceByIndex(netns.netlink, owner.link));
  if (netns !== undefined && device !== undefined) {
    await putBack(netns, device, before, scope);
  }
}

/**
 * Gives a link back what it had, with one request unless the kernel refuses that. What it refuses for good is logged: a
 * pod must be able to go.
 *
 * @throws ErrnoError when it can be tried again
 */
export async function putBack(
  { netlink }: Pick<Netns, 'netlink'>,
  device: DeviceFacts,
  before: LinkSettings,
  scope: Pick<Scope, 'log'>,
): Promise<void> {
  const missing = settingsMissing(before, settingsOf(device));
  try {
    await changeSettings(netlink, device, missing);
  } catch (refused) {
    if (!isFinal(refused)) {
      throw refused;
    }
    for (const one of oneByOne(missing)) {
      try {
        await changeSettings(netlink, device, one);
      } catch (error) {
        if (!isFinal(error)) {
          throw error;
        }
        if (!hasErrno(error, 'ENODEV')) {
          scope.log(`cannot put back what "${device.name}" had: ${messageOf(error)}`);
        }
      }
    }
  }
}

const isFinal = (error: unknown): boolean =>
  error instanceof ErrnoError && !(error instanceof NoAnswer) && !isShortage(error);

/**
 * Puts back what attachments of a network had that are no longer valid. A file of the Go plugin does not say of which
 * network it is, and stays.
 *
 * @throws CniError with all failures
 */
export function collect(records: Records, network: string, valid: readonly Attachment[], scope: Scope): Promise<void> {
  const isValid = ({ containerId, ifName }: Owner): boolean =>
    valid.some(({ containerID, ifname }) => containerID === containerId && ifname === ifName);
  const stale = records
    .list(scope.log)
    .filter(({ record: { owner } }) => owner !== undefined && owner.network === network && !isValid(owner));
  return runAll(
    stale.map(
      ({ name, record }) =>
        () =>
          collectOne(name, record, records, scope),
    ),
  );
}

async function collectOne(
  name: string,
  { owner, before }: TuningRecord,
  records: Records,
  scope: Scope,
): Promise<void> {
  if (owner !== undefined) {
    await putBackOwned(owner, before, scope);
    records.remove(name);
  }
}
