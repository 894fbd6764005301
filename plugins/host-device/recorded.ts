import { statSync } from 'node:fs';
import { confsOfType } from '../../lib/cli/confs.ts';
import { type JsonObject, textIn } from '../../lib/cni/json.ts';
import type { AttachmentRecord } from '../../lib/cni/records.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { NEWEST } from '../../lib/cni/versions.ts';
import { recordsIn } from './record.ts';

/** Where records are, and the locks of devices. */
export const recordFolders = (confs: readonly JsonObject[]): readonly string[] =>
  confsOfType(confs, 'host-device', {}, folderIn).map((conf) => recordsIn(folderIn(conf)).path);

/** The devices that pods have. */
export async function listRecords(scope: Scope, confs: readonly JsonObject[]): Promise<readonly AttachmentRecord[]> {
  return confsOfType(confs, 'host-device', {}, folderIn).flatMap((conf) => {
    const folder = folderIn(conf);
    const records = recordsIn(folder);
    return records.list(scope.log).map(({ name: file, record }): AttachmentRecord => {
      const { network, containerId, ifName, netns, namespace, picture } = record;
      const place = records.fileOf(file);
      const { name, parentDev } = picture.device;
      return {
        network,
        containerId,
        ifName,
        netns,
        namespace,
        pod: '',
        addresses: [],
        device: parentDev === '' ? name : `${name} (${parentDev})`,
        sinceMs: statSync(place, { throwIfNoEntry: false })?.mtimeMs,
        place,
        release: { cniVersion: NEWEST, name: network, type: 'host-device', dataDir: folder },
      };
    });
  });
}

const folderIn = (conf: JsonObject): string => recordsIn(textIn(conf, 'dataDir')).path;
