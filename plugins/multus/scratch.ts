import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CniError, within } from '../../lib/cni/errors.ts';
import { compact, isObject, type Json, type JsonObject, parseJson } from '../../lib/cni/json.ts';
import { depthFault } from '../../lib/cni/nesting.ts';
import { identifierFault } from '../../lib/cni/read-call.ts';
import { refuseLongRecord } from '../../lib/cni/record-name.ts';
import { makeFolder, removeWritten, writeAtomically } from '../../lib/sys/atomic-file.ts';
import { ioError, isMissing } from '../../lib/sys/io-error.ts';
import { type Delegate, recallDelegate } from './delegates.ts';
import type { Requests } from './runtime-args.ts';

/** A delegate as the scratch file of its container remembers it. */
export type StoredDelegate = Pick<Delegate, 'name' | 'list' | 'requests'>;

/** The folder of the result cache, which libcni keeps beside the scratch files. */
const RESULTS = 'results';

/**
 * Refuses a container whose scratch file could not be written.
 *
 * @throws CniError badEnv
 */
export function refuseUnscratchable(containerId: string): void {
  if (containerId === RESULTS) {
    throw new CniError('badEnv', `cannot use CNI_CONTAINERID "${containerId}": the result cache has that name`);
  }
  refuseLongRecord({ containerId });
}

export const scratchFile = (cniDir: string, containerId: string): string => join(cniDir, containerId);

/**
 * Writes the delegates of a container, durably, before any of them runs.
 *
 * @throws CniError ioFailure
 */
export function writeScratch(cniDir: string, containerId: string, delegates: readonly Delegate[]): void {
  makeFolder(cniDir);
  writeAtomically(scratchFile(cniDir, containerId), formatScratch(delegates), { mode: 0o600 });
}

/**
 * The file as it is.
 *
 * @returns undefined when there is none
 * @throws CniError ioFailure
 */
export function readScratch(cniDir: string, containerId: string): Buffer | undefined {
  const file = scratchFile(cniDir, containerId);
  try {
    return readFileSync(file);
  } catch (error) {
    if (isMissing(error) || isResultCache(containerId, error)) {
      return undefined;
    }
    throw ioError('read', file, error);
  }
}

/**
 * The delegates that the file names.
 *
 * @param cniVersion for lists that name none
 * @returns undefined when there is no file
 * @throws CniError ioFailure when it cannot be read, internal when it does not name any
 */
export function readStored(
  cniDir: string,
  containerId: string,
  cniVersion: string,
): readonly StoredDelegate[] | undefined {
  const content = readScratch(cniDir, containerId);
  try {
    return content && parseScratch(content, cniVersion);
  } catch (error) {
    throw within(`cannot read the scratch file "${scratchFile(cniDir, containerId)}"`, error);
  }
}

/**
 * The containers that have a scratch file, as far as names tell: files only, and no temporary ones, whose names begin
 * with a dot.
 *
 * @throws CniError ioFailure when the folder cannot be read
 */
export function scratchNames(cniDir: string): readonly string[] {
  try {
    return readdirSync(cniDir, { withFileTypes: true })
      .filter((entry) => entry.isFile() && identifierFault(entry.name) === undefined)
      .map(({ name }) => name);
  } catch (error) {
    if (isMissing(error)) {
      return [];
    }
    throw ioError('read folder', cniDir, error);
  }
}

/** Puts back what was there before; undefined: nothing. */
export function restoreScratch(cniDir: string, containerId: string, before: Buffer | undefined): void {
  if (before === undefined) {
    removeScratch(cniDir, containerId);
  } else {
    writeAtomically(scratchFile(cniDir, containerId), before, { mode: 0o600 });
  }
}

/** @throws CniError ioFailure */
export function removeScratch(cniDir: string, containerId: string): void {
  const file = scratchFile(cniDir, containerId);
  try {
    removeWritten(file);
  } catch (error) {
    if (!isResultCache(containerId, error)) {
      throw ioError('remove', file, error);
    }
  }
}

/** A container whose ID is the name of that folder has no scratch file: ADD refuses it. */
const isResultCache = (containerId: string, error: unknown): boolean =>
  containerId === RESULTS && (error as NodeJS.ErrnoException).code === 'EISDIR';

/**
 * One line, keys in the order of the Go plugin, which reads the file too.
 *
 * @throws CniError decodeFailure when DEL could not read it again
 */
export function formatScratch(delegates: readonly Delegate[]): string {
  const text = compact(
    delegates.map(({ name, list, requests, conf, confList }) => ({
      Conf: conf,
      ConfList: confList,
      Name: name,
      ...(requests.ifName ? { ifnameRequest: requests.ifName } : {}),
      ...(requests.mac ? { macRequest: requests.mac } : {}),
      ...(requests.infinibandGuid ? { infinibandGUIDRequest: requests.infinibandGuid } : {}),
      ...(requests.ips?.length ? { ipRequest: requests.ips } : {}),
      ...(requests.defaultRoute ? { 'default-route': requests.defaultRoute } : {}),
      IsFilterV4Gateway: false,
      IsFilterV6Gateway: false,
      ...(requests.deviceId ? { deviceID: requests.deviceId } : {}),
      ...(requests.resourceName ? { resourceName: requests.resourceName } : {}),
      Bytes: list.bytes.toString('base64'),
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
export function parseScratch(content: Buffer, cniVersion: string): readonly StoredDelegate[] {
  const entries: unknown = parseJson(content.toString('utf8'));
  if (!Array.isArray(entries) || entries.length === 0) {
    throw new CniError('internal', 'it is not a list of delegates');
  }
  return entries.map((entry: Json) => parseEntry(entry, cniVersion));
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

/** Only the name of the interface matters once the network is attached. */
function requestsOf(entry: JsonObject): Requests {
  const ifName = entry['ifnameRequest'];
  return typeof ifName === 'string' && ifName !== '' ? { ifName } : {};
}
