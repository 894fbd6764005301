import { statSync } from 'node:fs';
import { confsOfType } from '../../lib/cli/confs.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import type { AttachmentRecord } from '../../lib/cni/records.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { NEWEST } from '../../lib/cni/versions.ts';
import { dataDirIn } from './config.ts';
import { recordsIn } from './record.ts';

/** The attachments whose interfaces were changed. A file of the Go plugin does not name its network. */
export async function recorded(scope: Scope, confs: readonly JsonObject[]): Promise<readonly AttachmentRecord[]> {
  return confsOfType(confs, 'tuning', {}, dataDirIn).flatMap((conf) => {
    const folder = dataDirIn(conf);
    const records = recordsIn(folder);
    return records.list(scope.log).flatMap(({ name, record: { owner } }): readonly AttachmentRecord[] => {
      if (owner === undefined) {
        return [];
      }
      const place = records.fileOf(name);
      return [
        {
          network: owner.network,
          containerId: owner.containerId,
          ifName: owner.ifName,
          netns: owner.netns,
          namespace: owner.namespace,
          pod: '',
          addresses: [],
          device: owner.ifName,
          sinceMs: statSync(place, { throwIfNoEntry: false })?.mtimeMs,
          place,
          release: { cniVersion: NEWEST, name: owner.network, type: 'tuning', dataDir: folder },
        },
      ];
    });
  });
}
