import { statSync } from 'node:fs';
import { recordName } from '../../lib/cni/record-name.ts';
import type { Sandbox } from '../../lib/cni/sandbox.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { bootTimeMs } from '../../lib/sys/boot.ts';
import { incarnationOf } from '../../lib/sys/bus-device.ts';
import { type NamedRecord as Named, RecordFolder } from '../../lib/sys/record-folder.ts';
import { ownerOf } from './allocations.ts';
import type { RecordKey, SriovRecord } from './record.ts';
import { formatRecord, parseRecord } from './record-form.ts';

export type Records = RecordFolder<SriovRecord>;

/** A record, and the name of its file: `<container ID>-<interface name>`. */
export type NamedRecord = Named<SriovRecord>;

export const nameOf = ({ containerId, ifName }: RecordKey): string => recordName({ containerId, ifName });

/** @param folder that of the Go plugin, which reads and writes the same files */
export const recordsIn = (folder: string): Records =>
  new RecordFolder(folder, { format: formatRecord, parse: parseRecord });

/** Container and interface of an attachment; the Go plugin has them only in the file name. */
export function attachmentOf({ name, record: { own } }: NamedRecord): RecordKey | undefined {
  const [, containerId, ifName] = /^(.+)-([^-]+)$/.exec(name) ?? [];
  return own ?? (containerId === undefined || ifName === undefined ? undefined : { containerId, ifName });
}

/** The namespace of an attachment. */
export function sandboxOfRecord(records: Records, named: NamedRecord): Sandbox {
  const { own, deviceId, mac, before } = named.record;
  const name = attachmentOf(named)?.ifName ?? '';
  return {
    path: own?.netns ?? ownerOf(records.path, deviceId) ?? '',
    identity: own?.namespace,
    link: before.name === '' ? undefined : { name, mac: (mac || before.mac).toLowerCase() || undefined },
  };
}

/** Whether the record describes the present VF, not one from before a reboot or before the VFs were recreated. */
export function isSameIncarnation(scope: Scope, records: Records, { name, record }: NamedRecord): boolean {
  const { own, deviceId } = record;
  if (own?.namespace !== undefined) {
    return own.namespace.boot === scope.node.bootId && own.incarnation === incarnationOf(deviceId, scope.node.sysfs);
  }
  const written = statSync(records.fileOf(name), { throwIfNoEntry: false });
  return written === undefined || written.mtimeMs >= bootTimeMs();
}
