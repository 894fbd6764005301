import { statSync } from 'node:fs';
import { removeLeftOver, removeWritten } from '../sys/atomic-file.ts';
import { inside } from '../sys/inside.ts';
import { ioError, isMissing } from '../sys/io-error.ts';
import { RecordFolder } from '../sys/record-folder.ts';
import { CniError, messageOf } from './errors.ts';
import { compact, isObject, type Json, type JsonObject, parseJson, sorted, textIn } from './json.ts';
import { depthFault } from './nesting.ts';
import { recordName } from './record-name.ts';

const KIND = 'cniCacheV1';

export type ArgPairs = readonly (readonly [string, string])[];

/** Key of an attachment in the cache. */
export interface CacheKey {
  readonly network: string;
  readonly containerId: string;
  readonly ifName: string;
}

/** What is cached of an attachment between ADD and DEL, in libcni's format. */
export interface CachedAttachment extends CacheKey {
  /** '' when not recorded */
  readonly netns: string;
  /** the configuration as given; empty in files of the old format, which hold only the result */
  readonly config: Buffer;
  readonly args: ArgPairs;
  readonly capabilityArgs: JsonObject;
  readonly result: JsonObject | undefined;
}

/** An attachment that a search found. */
export interface ListedAttachment extends CachedAttachment {
  /** the path of its record */
  readonly file: string;
}

/** A file whose content does not identify its attachment; only its name may. */
export interface CacheFault {
  readonly name: string;
  readonly file: string;
  readonly why: CniError;
  /** its container, where the content says so */
  readonly containerId?: string;
  /** Its content is not a document. Otherwise it cannot be read at the moment, or is of another kind. */
  readonly isDamaged: boolean;
}

/** Search results: attachments, oldest first, and faulty files. */
export interface CacheListing {
  readonly attachments: readonly ListedAttachment[];
  readonly faults: readonly CacheFault[];
}

/**
 * Records an attachment. Not synced to disk: the file is useless after a reboot.
 *
 * @throws CniError ioFailure; decodeFailure when the result is nested too deep to be read again
 */
export function writeCached(cacheDir: string, attachment: CachedAttachment): void {
  resultsIn(cacheDir).write(recordName(attachment), attachment, { isDurable: false });
}

/**
 * Reads the record of an attachment.
 *
 * @returns undefined when there is no such file
 * @throws CniError ioFailure when it cannot be read, internal when it holds something else
 */
export const readCached = (cacheDir: string, key: CacheKey): CachedAttachment | undefined =>
  resultsIn(cacheDir, key).read(recordName(key));

/**
 * Changes the result in the record of an attachment; the rest of it stays, whoever has written it.
 *
 * @throws CniError ioFailure; internal when there is no such record, or none with a result
 */
export function editCachedResult(cacheDir: string, key: CacheKey, edit: (result: JsonObject) => JsonObject): void {
  const results = new RecordFolder<JsonObject>(inside(cacheDir, 'results'), {
    format: (document) => compact(sorted(document)),
    parse: objectIn,
    refuse: unreadable,
  });
  const name = recordName(key);
  const document = results.read(name);
  const result = document?.['result'];
  if (document === undefined || !isObject(result)) {
    const why = document === undefined ? 'it is missing' : 'it has no result';
    throw new CniError('internal', `cannot change the cached result "${results.fileOf(name)}": ${why}`);
  }
  results.write(name, { ...document, result: edit(result) }, { isDurable: false });
}

/** Deletes an attachment's record, best effort: the next ADD tries again. */
export const removeCached = (cacheDir: string, key: CacheKey): void =>
  removeCacheFile(resultsIn(cacheDir).fileOf(recordName(key)));

/** The same of an earlier attachment, which hardly ever has left one. */
export const removeEarlier = (cacheDir: string, key: CacheKey): void =>
  passOver(() => removeLeftOver(resultsIn(cacheDir).fileOf(recordName(key))));

/** The same for a faulty file. */
export const removeCacheFile = (file: string): void => passOver(() => removeWritten(file));

/** As libcni does. */
function passOver(remove: () => void): void {
  try {
    remove();
  } catch {
    // the next ADD tries again
  }
}

/**
 * Every recorded attachment, or those of one container. File names are not split, since all three parts may contain a
 * dash: the content counts.
 *
 * @throws CniError ioFailure when the folder cannot be read; a missing one has no records
 */
export function listCached(cacheDir: string, containerId?: string): CacheListing {
  const results = resultsIn(cacheDir);
  const found: { attachment: ListedAttachment; time: bigint }[] = [];
  const faults: CacheFault[] = [];
  for (const name of results.names()) {
    if (containerId !== undefined && !name.includes(`-${containerId}-`)) {
      continue;
    }
    const file = results.fileOf(name);
    try {
      const time = statSync(file, { bigint: true }).mtimeNs;
      const attachment = results.read(name);
      if (attachment !== undefined && (containerId === undefined || attachment.containerId === containerId)) {
        found.push({ attachment: { ...attachment, file }, time });
      }
    } catch (error) {
      if (!isMissing(error)) {
        faults.push(faultOf(name, file, error));
      }
    }
  }
  found.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
  return { attachments: found.map(({ attachment }) => attachment), faults };
}

function faultOf(name: string, file: string, error: unknown): CacheFault {
  const why = error instanceof CniError ? error : ioError('read', file, error);
  return { name, file, why, isDamaged: why.cause instanceof SyntaxError };
}

/** @param key accepts a file of the old format, a bare result, which does not name its attachment */
const resultsIn = (cacheDir: string, key?: CacheKey): RecordFolder<CachedAttachment> =>
  new RecordFolder(inside(cacheDir, 'results'), {
    format: formatCached,
    parse: (text) => parseCached(text, key),
    refuse: unreadable,
  });

const unreadable = (file: string, cause: unknown): CniError =>
  new CniError('internal', `cannot read the cached result "${file}": ${messageOf(cause)}`, { cause });

/** @throws CniError decodeFailure when DEL could not read it again */
function formatCached({
  network,
  containerId,
  ifName,
  netns,
  config,
  args,
  capabilityArgs,
  result,
}: CachedAttachment): string {
  const text = compact({
    kind: KIND,
    containerId,
    config: config.toString('base64'),
    ifName,
    networkName: network,
    ...(netns === '' ? {} : { netns }),
    ...(args.length === 0 ? {} : { cniArgs: args }),
    ...(Object.keys(capabilityArgs).length === 0 ? {} : { capabilityArgs }),
    ...(result === undefined ? {} : { result: sorted(result) }),
  });
  const fault = depthFault(text);
  if (fault !== undefined) {
    throw new CniError('decodeFailure', `cannot record the result: ${fault}`);
  }
  return text;
}

/** @throws SyntaxError when the text is no document */
function parseCached(text: string, key: CacheKey | undefined): CachedAttachment {
  const document = objectIn(text);
  if (document['kind'] === KIND) {
    return {
      network: textIn(document, 'networkName'),
      containerId: textIn(document, 'containerId'),
      ifName: textIn(document, 'ifName'),
      netns: textIn(document, 'netns'),
      config: Buffer.from(textIn(document, 'config'), 'base64'),
      args: pairsOf(document['cniArgs']),
      capabilityArgs: isObject(document['capabilityArgs']) ? document['capabilityArgs'] : {},
      result: isObject(document['result']) ? document['result'] : undefined,
    };
  }
  if (key !== undefined && document['kind'] === undefined && typeof document['cniVersion'] === 'string') {
    return { ...key, netns: '', config: Buffer.alloc(0), args: [], capabilityArgs: {}, result: document };
  }
  throw new Error(`its kind is not ${KIND}`);
}

/** @throws SyntaxError */
function objectIn(text: string): JsonObject {
  const document = parseJson(text);
  if (!isObject(document)) {
    throw new SyntaxError('it is not a JSON object');
  }
  return document;
}

function pairsOf(value: Json | undefined): ArgPairs {
  return Array.isArray(value)
    ? (value as readonly Json[]).flatMap((pair) =>
        Array.isArray(pair) && typeof pair[0] === 'string' && typeof pair[1] === 'string'
          ? [[pair[0], pair[1]] as const]
          : [],
      )
    : [];
}
