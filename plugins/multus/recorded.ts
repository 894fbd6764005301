import { statSync } from 'node:fs';
import { cachedRecords } from '../../lib/cli/cached.ts';
import { confsOfType, textIn } from '../../lib/cli/confs.ts';
import { messageOf } from '../../lib/cni/errors.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import type { AttachmentRecord } from '../../lib/cni/records.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { NEWEST } from '../../lib/cni/versions.ts';
import { cniDirOf } from './config.ts';
import { interfaceNames } from './names.ts';
import { readStored, scratchFile, scratchNames } from './scratch.ts';

/** A container whose first interface is not recorded anywhere: what every runtime calls it. */
const USUAL_NAME = 'eth0';

/** What multus attached: the records of its networks, and scratch files of containers that have none. */
export async function recorded(scope: Scope, confs: readonly JsonObject[]): Promise<readonly AttachmentRecord[]> {
  const fallback = { type: 'multus', name: 'multus', cniVersion: NEWEST, logToStderr: false };
  return confsOfType(confs, 'multus', fallback, (conf) => folderIn(conf)).flatMap((conf) =>
    recordsIn(folderIn(conf), { ...conf, logToStderr: false }, scope.log),
  );
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
  const place = scratchFile(cniDir, containerId);
  try {
    const stored = readStored(cniDir, containerId, NEWEST) ?? [];
    const names = interfaceNames(
      stored.map(({ requests }) => requests.ifName),
      USUAL_NAME,
    );
    return stored.map(({ list }, index) => ({
      containerId,
      ifName: names[index] ?? '',
      network: list.name,
      pod: '',
      netns: '',
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
