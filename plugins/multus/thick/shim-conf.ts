/** The configuration that has a runtime call the shim: written and kept right as the Go plugin's daemon does. */
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { capabilitiesIn, SINGLE } from '../../../lib/cli/multus/conf.ts';
import { contentOf } from '../../../lib/cli/multus/files.ts';
import { findPrimary, type Primary } from '../../../lib/cli/multus/primary.ts';
import { watchFolders } from '../../../lib/cli/multus/watch.ts';
import { CniError, messageOf } from '../../../lib/cni/errors.ts';
import { compact, type JsonObject } from '../../../lib/cni/json.ts';
import { parseNetwork } from '../../../lib/cni/network-list.ts';
import { atLeast } from '../../../lib/cni/versions.ts';
import { writeAtomically } from '../../../lib/sys/atomic-file.ts';

/** What daemon-config.json says of it. */
export interface ShimSettings {
  /** '' or `auto`: generated; else a file that is copied */
  readonly multusConfigFile: string;
  readonly cniConfigDir: string;
  /** where the node's own network is; '' when nothing is generated */
  readonly multusAutoconfigDir: string;
  readonly multusMasterCNI: string;
  readonly cniVersion: string;
  readonly overrideNetworkName: boolean;
  readonly readinessindicatorfile: string;
}

interface ConfFile {
  readonly name: string;
  readonly text: string;
  readonly mode: number;
}

const GENERATED = 'auto';
const NAME = 'multus-cni-network';
const LOOK_MS = 10_000;
const SECRET = 0o600;
const PUBLIC = 0o644;

/** Versions since which CHECK exists. */
const CHECKED = '0.4.0';

/** Keys of the daemon that go into the configuration as they are. */
const COPIED = [
  'binDir',
  'logFile',
  'logLevel',
  'logToStderr',
  'logOptions',
  'namespaceIsolation',
  'globalNamespaces',
  'cniDir',
  'auxiliaryCNIChainName',
  'daemonSocketDir',
];

/** In this order. */
const KEYS = [
  ...['binDir', 'capabilities', 'cniVersion', 'logFile', 'logLevel', 'logToStderr', 'logOptions', 'name'],
  ...['clusterNetwork', 'namespaceIsolation', 'globalNamespaces', 'type', 'cniDir', 'auxiliaryCNIChainName'],
  ...['daemonSocketDir', 'overrideNetworkName'],
];

export const isShimConfWanted = ({ multusConfigFile, multusAutoconfigDir }: ShimSettings): boolean =>
  isGenerated(multusConfigFile) ? multusAutoconfigDir !== '' : true;

export const isGenerated = (multusConfigFile: string): boolean => (multusConfigFile || GENERATED) === GENERATED;

/**
 * The text of the configuration, in one line as the daemon writes it.
 *
 * @param file of the node's own network
 * @param daemon all of daemon-config.json
 * @throws CniError when their versions do not go together
 */
export function shimConf(network: JsonObject, file: string, daemon: JsonObject, settings: ShimSettings): string {
  const { cniVersion, overrideNetworkName } = settings;
  const own = parseNetwork(network).cniVersion || '0.1.0';
  if (atLeast(cniVersion, CHECKED) && !atLeast(own, CHECKED)) {
    throw new CniError(
      'invalidNetworkConfig',
      `its "cniVersion" is ${own}, which knows no CHECK, and that of the daemon ${cniVersion}`,
    );
  }
  const capabilities = capabilitiesIn(network);
  const all: JsonObject = {
    ...Object.fromEntries(COPIED.filter((key) => !isEmpty(daemon[key])).map((key) => [key, daemon[key]])),
    ...(Object.keys(capabilities).length === 0 ? {} : { capabilities }),
    ...(overrideNetworkName ? { overrideNetworkName } : {}),
    cniVersion,
    name: overrideNetworkName ? parseNetwork(network).name : NAME,
    clusterNetwork: typeof daemon['clusterNetwork'] === 'string' ? daemon['clusterNetwork'] : file,
    type: 'multus-shim',
  };
  return compact(Object.fromEntries(KEYS.filter((key) => key in all).map((key) => [key, all[key]])));
}

const isEmpty = (value: unknown): boolean => value === undefined || value === null || value === '' || value === false;

/**
 * Keeps the file right until the signal fires. It stays when the agent ends: shims wait for the next one, and no pod
 * starts without its networks meanwhile.
 */
export async function keepShimConf(
  daemon: JsonObject,
  settings: ShimSettings,
  { signal, log }: { readonly signal: AbortSignal; readonly log: (line: string) => void },
): Promise<void> {
  let told = '';
  const look = async (): Promise<boolean> => {
    const wanted = wantedConf(daemon, settings);
    const lack = 'lack' in wanted ? wanted.lack : '';
    if (lack !== '' && lack !== told) {
      log(`cannot write a configuration for the shim: ${lack}`);
    }
    told = lack;
    return 'lack' in wanted ? false : write(settings.cniConfigDir, wanted, log);
  };
  const folders = (): readonly string[] => foldersOf(settings);
  await watchFolders({ folders, look: async () => attempt(look, log), intervalMs: LOOK_MS, signal });
}

async function attempt(look: () => Promise<boolean>, log: (line: string) => void): Promise<boolean> {
  try {
    return await look();
  } catch (error) {
    log(`cannot write a configuration for the shim: ${messageOf(error)}`);
    return false;
  }
}

function write(folder: string, { name, text, mode }: ConfFile, log: (line: string) => void): boolean {
  const path = join(folder, name);
  if (contentOf(path) === text) {
    return false;
  }
  writeAtomically(path, text, { mode });
  log(`wrote "${path}"`);
  return true;
}

/** What is not right is left as it is, until it is: no file is ever empty. */
function wantedConf(daemon: JsonObject, settings: ShimSettings): ConfFile | { readonly lack: string } {
  const { multusConfigFile, multusAutoconfigDir, multusMasterCNI, readinessindicatorfile } = settings;
  if (!isGenerated(multusConfigFile)) {
    const text = contentOf(multusConfigFile);
    return text === undefined || text === ''
      ? { lack: `there is nothing in "${multusConfigFile}"` }
      : { name: basename(multusConfigFile), text, mode: PUBLIC };
  }
  if (readinessindicatorfile !== '' && !existsSync(readinessindicatorfile)) {
    return { lack: `"${readinessindicatorfile}" is not there yet` };
  }
  const primary = findPrimary(multusAutoconfigDir, multusMasterCNI || undefined, []);
  return primary.state === 'found' ? generated(daemon, settings, primary) : { lack: primary.why };
}

function generated(
  daemon: JsonObject,
  settings: ShimSettings,
  { name, document }: Extract<Primary, { readonly state: 'found' }>,
): ConfFile | { readonly lack: string } {
  const file = join(settings.multusAutoconfigDir, name);
  try {
    return { name: SINGLE, text: shimConf(document, file, daemon, settings), mode: SECRET };
  } catch (error) {
    return { lack: `cannot wrap "${file}": ${messageOf(error)}` };
  }
}

const foldersOf = (settings: ShimSettings): readonly string[] => {
  const { cniConfigDir, multusAutoconfigDir, multusConfigFile, readinessindicatorfile } = settings;
  const files = [isGenerated(multusConfigFile) ? '' : multusConfigFile, readinessindicatorfile];
  const folders = files.filter((file) => file !== '').map((file) => dirname(file));
  return [...new Set([cniConfigDir, multusAutoconfigDir, ...folders])].filter((folder) => folder !== '');
};
