import { readFileSync } from 'node:fs';
import { CniError, messageOf } from '../../../lib/cni/errors.ts';
import { isObject, type Json, type JsonObject, lookUp, parseJson, textIn } from '../../../lib/cni/json.ts';
import { ioError } from '../../../lib/sys/io-error.ts';
import { type Allocated, type Allocation, allocationOf, sortedAllocation } from './allocation.ts';

/**
 * The devices of a pod in the kubelet's own record, where it answers no questions. Ids are there by NUMA node, and in one
 * list in the records of kubelets before 1.20.
 *
 * @param uid the kubelet's: that of a static pod is not the one which the API server shows
 * @throws CniError ioFailure, or decodeFailure naming the file
 */
export function checkpointDevices(path: string, uid: string): Allocation {
  if (uid === '') {
    throw new CniError('internal', `cannot look for devices in "${path}": the pod has no UID`);
  }
  const entries = entriesIn(path).filter((entry) => textIn(entry, 'PodUID') === uid);
  return sortedAllocation(allocationOf(entries.map((entry) => allocatedIn(entry, path))));
}

function entriesIn(path: string): readonly JsonObject[] {
  const unreadable = (why: string): CniError => new CniError('decodeFailure', `cannot use "${path}": ${why}`);
  let document: unknown;
  try {
    document = parseJson(contentOf(path));
  } catch (error) {
    throw error instanceof CniError ? error : unreadable(messageOf(error));
  }
  const data = isObject(document) ? lookUp(document, 'Data') : undefined;
  if (!isObject(data)) {
    throw unreadable('it is not the record of a kubelet\'s devices: it has no "Data"');
  }
  const entries = lookUp(data, 'PodDeviceEntries') ?? [];
  if (!Array.isArray(entries) || !entries.every(isObject)) {
    throw unreadable('"Data.PodDeviceEntries" is not a list of objects');
  }
  return entries;
}

function contentOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw ioError('read', path, error);
  }
}

function allocatedIn(entry: JsonObject, path: string): Allocated {
  const ids = lookUp(entry, 'DeviceIDs') ?? [];
  const lists: readonly (Json | undefined)[] = isObject(ids) ? Object.values(ids) : [ids];
  const all = lists.flatMap((list) => list ?? []);
  if (!lists.every((list) => Array.isArray(list) || list === null) || !all.every((id) => typeof id === 'string')) {
    throw new CniError('decodeFailure', `cannot use "${path}": "DeviceIDs" of a pod are not lists of texts`);
  }
  return { resource: textIn(entry, 'ResourceName'), ids: all };
}
