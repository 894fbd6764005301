import { statSync } from 'node:fs';
import { join } from 'node:path';
import { confsOfType, textIn } from '../../lib/cli/confs.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import type { AttachmentRecord, Host } from '../../lib/cni/plugin.ts';
import { NEWEST } from '../../lib/cni/versions.ts';
import { ownerOf, stateFolder } from './places.ts';
import { listRecords } from './records.ts';

/** The VFs that pods have. Container and interface of a record that the Go plugin wrote are told by its file's name. */
export async function recorded(host: Host, confs: readonly JsonObject[]): Promise<readonly AttachmentRecord[]> {
  return confsOfType(confs, 'sriov', {}, folderIn).flatMap((conf) => {
    const folder = folderIn(conf);
    return listRecords(folder, host.log).flatMap(({ name, record }): readonly AttachmentRecord[] => {
      const place = join(folder, name);
      const { network, deviceId, pfName, vfNumber, own } = record;
      const [, containerId, ifName] = /^(.+)-([^-]+)$/.exec(name) ?? [];
      if (own === undefined && (containerId === undefined || ifName === undefined)) {
        return [];
      }
      return [
        {
          network,
          containerId: own?.containerId ?? containerId ?? '',
          ifName: own?.ifName ?? ifName ?? '',
          netns: own?.netns ?? ownerOf(folder, deviceId) ?? '',
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
