import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isMissing } from '../sys/io-error.ts';

const DEFAULT_FOLDER = '/var/lib/cni/networks';

/** Whose addresses are looked for. */
export interface HostLocalOwner {
  /** `dataDir` of the configuration; '' for the usual folder */
  readonly dataDir: string;
  readonly network: string;
  readonly containerId: string;
  readonly ifName: string;
}

/**
 * The addresses that the Go plugin host-local keeps for an attachment. It has a file for each, named after the address,
 * with the container ID and the interface in two lines; files before its 0.7 have no interface.
 *
 * @throws the system's error when they cannot be read
 */
export function hostLocalAddresses({ dataDir, network, containerId, ifName }: HostLocalOwner): readonly string[] {
  const folder = join(dataDir || DEFAULT_FOLDER, network);
  return namesIn(folder).filter((name) => {
    const [id, owner = ifName] = linesOf(join(folder, name));
    return id === containerId && owner === ifName;
  });
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).filter((name) => /^[\d.]+$|:/.test(name));
  } catch (error) {
    if (isMissing(error)) {
      return [];
    }
    throw error;
  }
}

function linesOf(file: string): readonly string[] {
  try {
    return readFileSync(file, 'utf8').trim().split(/\r?\n/);
  } catch (error) {
    if (isMissing(error)) {
      return []; // given back in the meantime
    }
    throw error;
  }
}
