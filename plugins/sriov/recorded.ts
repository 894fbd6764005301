import { statSync } from 'node:fs';
import { confsOfType } from '../../lib/cli/confs.ts';
import { type JsonObject, textIn } from '../../lib/cni/json.ts';
import type { AttachmentRecord } from '../../lib/cni/records.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { NEWEST } from '../../lib/cni/versions.ts';
import { ownerOf, stateFolder } from './allocations.ts';
import { attachmentOf, recordsIn } from './records.ts';

/** The VFs that pods have. For a record of the Go plugin, the file name gives container and interface. */
export async function listRecords(scope: Scope, confs: readonly JsonObject[]): Promise<readonly AttachmentRecord[]> {
  return confsOfType(confs, 'sriov', {}, folderIn).flatMap((conf) => {
    const folder = folderIn(conf);
    const records = recordsIn(folder);
    return records.list(scope.log).flatMap((named): readonly AttachmentRecord[] => {
      const place = records.fileOf(named.name);
      const { network, deviceId, pfName, vfNumber, own } = named.record;
      const attachment = attachmentOf(named);
      if (attachment === undefined) {
        return [];
      }
      return [
        {
          network,
          containerId: attachment.containerId,
          ifName: attachment.ifName,
          netns: own?.netns ?? ownerOf(folder, deviceId) ?? '',
          ...(own?.namespace === undefined ? {} : { namespace: own.namespace }),
          pod: '',
          addresses: [],
          device: pfName === '' ? deviceId : `${deviceId} (${pfName} VF ${vfNumber})`,
          sinceMs: statSync(place, { throwIfNoEntry: false })?.mtimeMs,
          place,
          release: { cniVersion: NEWEST, name: network, type: 'sriov', dataDir: folder },
        },
      ];
    });
  });
}

const folderIn = (conf: JsonObject): string => stateFolder(textIn(conf, 'dataDir'));
