import { statSync } from 'node:fs';
import { confsOfType } from '../../lib/cli/confs.ts';
import { type JsonObject, textIn } from '../../lib/cni/json.ts';
import type { AttachmentRecord } from '../../lib/cni/records.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { NEWEST } from '../../lib/cni/versions.ts';
import { dataDirOf } from './config.ts';
import { statesIn } from './state.ts';

/** The RDMA devices that pods have. A state of the Go plugin does not name the owner. */
export async function recorded(scope: Scope, confs: readonly JsonObject[]): Promise<readonly AttachmentRecord[]> {
  return confsOfType(confs, 'rdma', {}, folderIn).flatMap((conf) => {
    const folder = folderIn(conf);
    const states = statesIn(folder);
    return states.list(scope.log).flatMap(({ name, record: { owner, hostName } }): readonly AttachmentRecord[] => {
      if (owner === undefined) {
        return [];
      }
      const place = states.fileOf(name);
      return [
        {
          network: owner.network,
          containerId: owner.containerId,
          ifName: owner.ifName,
          netns: owner.netns,
          ...(owner.namespace === undefined ? {} : { namespace: owner.namespace }),
          pod: '',
          addresses: [],
          device: hostName,
          sinceMs: statSync(place, { throwIfNoEntry: false })?.mtimeMs,
          place,
          release: { cniVersion: NEWEST, name: owner.network, type: 'rdma', dataDir: folder },
        },
      ];
    });
  });
}

/** Every verb refuses a relative path: nothing is recorded there. */
function folderIn(conf: JsonObject): string {
  const dataDir = textIn(conf, 'dataDir');
  return dataDirOf(dataDir.startsWith('/') ? dataDir : '');
}
