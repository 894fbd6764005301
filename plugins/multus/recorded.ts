import { statSync } from 'node:fs';
import { cachedRecords } from '../../lib/cli/cached.ts';
import { confsOfType } from '../../lib/cli/confs.ts';
import { messageOf } from '../../lib/cni/errors.ts';
import { type JsonObject, textIn } from '../../lib/cni/json.ts';
import type { AttachmentRecord } from '../../lib/cni/records.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { NEWEST } from '../../lib/cni/versions.ts';
import { interfaceNames } from './names.ts';
import { cniDirOf } from './places.ts';
import { readStored, scratchesIn, scratchNames } from './scratch.ts';

/** A container whose first interface is not recorded anywhere: what every runtime calls it. */
const USUAL_NAME = 'eth0';

/** Where scratch files are, and the locks of containers. */
export const scratchFolders = (confs: readonly JsonObject[]): readonly string[] =>
  confsIn(confs).map((conf) => folderIn(conf));

/** What multus attached: the records of its networks, and scratch files of containers that have none. */
export async function listRecords(scope: Scope, confs: readonly JsonObject[]): Promise<readonly AttachmentRecord[]> {
  return confsIn(confs).flatMap((conf) => recordsIn(folderIn(conf), { ...conf, logToStderr: false }, scope.log));
}

function confsIn(confs: readonly JsonObject[]): readonly JsonObject[] {
  const fallback = { type: 'multus', name: 'multus', cniVersion: NEWEST, logToStderr: false };
  return confsOfType(confs, 'multus', fallback, (conf) => folderIn(conf));
}

const folderIn = (conf: JsonObject): string => cniDirOf({ cniDir: textIn(conf, 'cniDir') });

function recordsIn(cniDir: string, release: JsonObject, log: (line: string) => void): readonly AttachmentRecord[] {
  const { records, faults } = cachedRecords(cniDir);
  for (const fault of faults) {
    log(fault);
  }
  const known = new Set(records.map(({ containerId }) => containerId));
  const others = namesIn(cniDir, log).filter((containerId) => !known.has(containerId));
  return [
    ...records.map((record) => ({ ...record, release })),
    ...others.flatMap((containerId) => scratchRecords(cniDir, containerId, release, log)),
  ];
}

function namesIn(cniDir: string, log: (line: string) => void): readonly string[] {
  try {
    return scratchNames(cniDir);
  } catch (error) {
    log(messageOf(error));
    return [];
  }
}

/** An ADD that is going on, or that failed and was never followed by DEL. */
function scratchRecords(
  cniDir: string,
  containerId: string,
  release: JsonObject,
  log: (line: string) => void,
): readonly AttachmentRecord[] {
  const place = scratchesIn(cniDir).fileOf(containerId);
  try {
    const { delegates, pod } = readStored(cniDir, containerId, NEWEST) ?? { delegates: [], pod: undefined };
    const names = interfaceNames(
      delegates.map(({ requests }) => requests.ifName),
      pod?.ifName ?? USUAL_NAME,
    );
    return delegates.map(({ list }, index) => ({
      containerId,
      ifName: names[index] ?? '',
      network: list.name,
      pod: '',
      netns: pod?.netns ?? '',
      ...(pod === undefined ? {} : { namespace: pod.namespace }),
      addresses: [],
      device: '',
      sinceMs: statSync(place, { throwIfNoEntry: false })?.mtimeMs,
      place,
      list: JSON.parse(list.bytes.toString('utf8')) as JsonObject,
      release,
    }));
  } catch (error) {
    log(messageOf(error));
    return [];
  }
}
