import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder, removeWritten, writeAtomically } from '../sys/atomic-file.ts';
import { ioError, isMissing } from '../sys/io-error.ts';
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
  const dir = resultsDir(cacheDir);
  makeFolder(dir, { sync: false });
  const text = formatCached(attachment);
  const fault = depthFault(text);
  if (fault !== undefined) {
    throw new CniError('decodeFailure', `cannot record the result: ${fault}`);
  }
  writeAtomically(cacheFile(cacheDir, attachment), text, { mode: 0o600, sync: false });
}

/**
 * Reads the record of an attachment.
 *
 * @returns undefined when there is no such file
 * @throws CniError ioFailure when it cannot be read, internal when it holds something else
 */
export function readCached(cacheDir: string, key: CacheKey): CachedAttachment | undefined {
  const file = cacheFile(cacheDir, key);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (isMissing(error)) {
      return undefined;
    }
    throw ioError('read', file, error);
  }
  return parseCached(text, file, key);
}

/** Deletes an attachment's record, best effort: a stale one does no harm. */
export const removeCached = (cacheDir: string, key: CacheKey): void => removeCacheFile(cacheFile(cacheDir, key));

/** The same for a faulty file. */
export function removeCacheFile(file: string): void {
  try {
    removeWritten(file);
  } catch {
    // as libcni does
  }
}

/**
 * Every recorded attachment, or those of one container. File names are not split, since all three parts may contain a
 * dash: the content counts.
 *
 * @throws CniError ioFailure when the folder cannot be read; a missing one has no records
 */
export function listCached(cacheDir: string, containerId?: string): CacheListing {
  const dir = resultsDir(cacheDir);
  const found: { attachment: ListedAttachment; time: bigint }[] = [];
  const faults: CacheFault[] = [];
  for (const name of namesIn(dir)) {
    if (containerId !== undefined && !name.includes(`-${containerId}-`)) {
      continue;
    }
    const file = join(dir, name);
    try {
      const time = statSync(file, { bigint: true }).mtimeNs;
      const attachment = parseCached(readFileSync(file, 'utf8'), file);
      if (containerId === undefined || attachment.containerId === containerId) {
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

const resultsDir = (cacheDir: string): string => join(cacheDir, 'results');

const cacheFile = (cacheDir: string, { network, containerId, ifName }: CacheKey): string =>
  join(resultsDir(cacheDir), recordName({ network, containerId, ifName }));

function formatCached({ network, containerId, ifName, netns, config, args, capabilityArgs, result }: CachedAttachment) {
  return compact({
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
}

/** @param key accepts a file of the old format, a bare result, which does not name its attachment */
function parseCached(text: string, file: string, key?: CacheKey): CachedAttachment {
  let document: unknown;
  try {
    document = parseJson(text);
  } catch (error) {
    throw unreadable(file, error);
  }
  if (!isObject(document)) {
    throw unreadable(file, new SyntaxError('it is not a JSON object'));
  }
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
  throw unreadable(file, new Error(`its kind is not ${KIND}`));
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

/** Without temporary files. */
function namesIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir)
      .filter((name) => !name.startsWith('.'))
      .sort();
  } catch (error) {
    if (isMissing(error)) {
      return [];
    }
    throw ioError('read folder', dir, error);
  }
}

/** @param cause a SyntaxError when the content is not a document */
const unreadable = (file: string, cause: unknown): CniError =>
  new CniError('internal', `cannot read the cached result "${file}": ${messageOf(cause)}`, { cause });
