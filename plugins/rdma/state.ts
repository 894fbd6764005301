import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../lib/cni/errors.ts';
import { compact, isObject, type Json, type JsonObject } from '../../lib/cni/json.ts';
import { makeFolder, removeWritten, writeAtomically } from '../../lib/sys/atomic-file.ts';
import { isMissing } from '../../lib/sys/io-error.ts';

const FORM = '1.0';

/** What names an attachment. */
export interface Owner {
  readonly network: string;
  readonly containerId: string;
  readonly ifName: string;
}

/** Which RDMA device an attachment has, in the Go plugin's form. What a file lacks is ''. */
export interface RdmaState {
  readonly deviceId: string;
  /** its name on the host */
  readonly hostName: string;
  /** its name in the pod; both plugins leave it as it is */
  readonly containerName: string;
  /** undefined in files of the Go plugin: its names of files cannot be taken apart */
  readonly owner: (Owner & { readonly netns: string }) | undefined;
}

export const statePath = (dataDir: string, { network, containerId, ifName }: Owner): string =>
  join(dataDir, `${network}-${containerId}-${ifName}`);

/** The four keys of the Go plugin in its order, then ours under one key, which it ignores. */
export function formatState({ deviceId, hostName, containerName, owner }: RdmaState): string {
  return compact({
    version: FORM,
    deviceID: deviceId,
    sandboxRdmaDevName: hostName,
    containerRdmaDevName: containerName,
    ...(owner === undefined
      ? {}
      : {
          braid: { network: owner.network, containerID: owner.containerId, ifname: owner.ifName, netns: owner.netns },
        }),
  });
}

/** Whatever is in the file: a broken one says nothing, and DEL goes on without it. */
export function parseState(content: string): RdmaState {
  const document = parseObject(content);
  const braid = document['braid'];
  return {
    deviceId: textOf(document['deviceID']),
    hostName: textOf(document['sandboxRdmaDevName']),
    containerName: textOf(document['containerRdmaDevName']),
    owner: isObject(braid)
      ? {
          network: textOf(braid['network']),
          containerId: textOf(braid['containerID']),
          ifName: textOf(braid['ifname']),
          netns: textOf(braid['netns']),
        }
      : undefined,
  };
}

/**
 * Writes a state, on the disk when this returns.
 *
 * @throws CniError ioFailure
 */
export function writeState(dataDir: string, path: string, state: RdmaState): void {
  makeFolder(dataDir);
  writeAtomically(path, formatState(state));
}

/** @returns undefined when there is no such file */
export function readState(path: string, log: (line: string) => void): RdmaState | undefined {
  try {
    return parseState(readFileSync(path, 'utf8'));
  } catch (error) {
    if (isMissing(error)) {
      return undefined;
    }
    log(`cannot read "${path}": ${messageOf(error)}`);
    return parseState('');
  }
}

/** Forgets an attachment. That it cannot be forgotten is not worth a pod that cannot end. */
export function removeState(path: string, log: (line: string) => void): void {
  try {
    removeWritten(path);
  } catch (error) {
    log(`cannot remove "${path}": ${messageOf(error)}`);
  }
}

/** Every state, by the name of its file; temporary files are left out. */
export function listStates(dataDir: string, log: (line: string) => void): ReadonlyMap<string, RdmaState> {
  const states = new Map<string, RdmaState>();
  for (const name of namesIn(dataDir)) {
    const state = readState(join(dataDir, name), log);
    if (state !== undefined) {
      states.set(name, state);
    }
  }
  return states;
}

function namesIn(dataDir: string): readonly string[] {
  try {
    return readdirSync(dataDir)
      .filter((name) => !name.startsWith('.'))
      .sort();
  } catch (error) {
    if (isMissing(error)) {
      return [];
    }
    throw error;
  }
}

function parseObject(content: string): JsonObject {
  try {
    const value: unknown = JSON.parse(content);
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

const textOf = (value: Json | undefined): string => (typeof value === 'string' ? value : '');
