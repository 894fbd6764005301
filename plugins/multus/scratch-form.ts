import { CniError } from '../../lib/cni/errors.ts';
import { compact, isObject, type Json, type JsonObject, parseJson, textIn } from '../../lib/cni/json.ts';
import { depthFault } from '../../lib/cni/nesting.ts';
import type { DefaultRoutes } from './default-route.ts';
import { type Delegate, recallDelegate } from './delegates.ts';
import { type PodRecord, parsePodRecord } from './pod-record.ts';
import type { Requests } from './runtime-args.ts';

/** A delegate as the scratch file of its container remembers it. */
export type StoredDelegate = Pick<Delegate, 'name' | 'list' | 'requests'>;

/** What a scratch file tells. */
export interface Stored {
  readonly delegates: readonly StoredDelegate[];
  /** undefined in a file of the Go plugin */
  readonly pod: PodRecord | undefined;
}

/** Where the first entry has the pod: no key that the Go plugin reads, which ignores all others. */
const POD_KEY = 'braid';

/**
 * One line, keys in the order of the Go plugin, which reads the file too.
 *
 * @param routes what becomes of the default routes of each; undefined: nothing
 * @throws CniError decodeFailure when DEL could not read it again
 */
export function formatScratch(
  delegates: readonly Delegate[],
  pod?: PodRecord,
  routes?: readonly DefaultRoutes[],
): string {
  const text = compact(
    delegates.map(({ name, list, requests, conf, confList }, index) => ({
      Conf: conf,
      ConfList: confList,
      Name: name,
      ...(requests.ifName ? { ifnameRequest: requests.ifName } : {}),
      ...(requests.mac ? { macRequest: requests.mac } : {}),
      ...(requests.infinibandGuid ? { infinibandGUIDRequest: requests.infinibandGuid } : {}),
      ...(requests.ips?.length ? { ipRequest: requests.ips } : {}),
      ...(requests.defaultRoute ? { 'default-route': requests.defaultRoute } : {}),
      IsFilterV4Gateway: routes?.[index]?.isFiltered4 ?? false,
      IsFilterV6Gateway: routes?.[index]?.isFiltered6 ?? false,
      ...(requests.deviceId ? { deviceID: requests.deviceId } : {}),
      ...(requests.resourceName ? { resourceName: requests.resourceName } : {}),
      Bytes: list.bytes.toString('base64'),
      ...(index === 0 && pod !== undefined ? { [POD_KEY]: pod } : {}),
    })),
  );
  const fault = depthFault(text);
  if (fault !== undefined) {
    throw new CniError('decodeFailure', `cannot record the delegates: ${fault}`);
  }
  return text;
}

/**
 * Reads the content of a scratch file, ours or the Go plugin's.
 *
 * @param cniVersion for lists that name none
 * @throws CniError, SyntaxError when it is corrupt or holds no delegate
 */
export function parseScratch(content: string, cniVersion: string): Stored {
  const entries: unknown = parseJson(content);
  if (!Array.isArray(entries) || entries.length === 0) {
    throw new CniError('internal', 'it is not a list of delegates');
  }
  const [first] = entries as readonly Json[];
  return {
    delegates: entries.map((entry: Json) => parseEntry(entry, cniVersion)),
    pod: isObject(first) ? parsePodRecord(first[POD_KEY]) : undefined,
  };
}

function parseEntry(entry: Json, cniVersion: string): StoredDelegate {
  const bytes = isObject(entry) ? entry['Bytes'] : undefined;
  if (!isObject(entry) || typeof bytes !== 'string') {
    throw new CniError('internal', 'an entry has no "Bytes"');
  }
  const { name, list } = recallDelegate(Buffer.from(bytes, 'base64'), cniVersion);
  const given = entry['Name'];
  return { name: typeof given === 'string' && given !== '' ? given : name, list, requests: requestsOf(entry) };
}

/** What the pod had asked for. What has another type than it must have is passed over. */
function requestsOf(entry: JsonObject): Requests {
  const text = (key: string): string | undefined => textIn(entry, key) || undefined;
  const ips = entry['ipRequest'];
  const requests: { readonly [K in keyof Requests]: Requests[K] | undefined } = {
    ifName: text('ifnameRequest'),
    mac: text('macRequest'),
    infinibandGuid: text('infinibandGUIDRequest'),
    ips: Array.isArray(ips) ? ips.filter((ip: Json) => typeof ip === 'string') : undefined,
    deviceId: text('deviceID'),
    resourceName: text('resourceName'),
  };
  return Object.fromEntries(Object.entries(requests).filter(([, value]) => value !== undefined));
}
