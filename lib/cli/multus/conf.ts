import { compact, isObject, type Json, type JsonObject, lookUp, sorted, textIn } from '../../cni/json.ts';
import { parseNetwork } from '../../cni/network-list.ts';

/** The names under which the meta plugin goes: those of Go's two forms too. */
export const META_TYPES: readonly string[] = ['multus', 'multus-shim'];

/** How the names of its configuration begin: no file of that name is wrapped. */
export const OWN_PREFIX = '00-multus.conf';
export const SINGLE = '00-multus.conf';
export const LIST = '00-multus.conflist';

/** What a generated configuration says besides what it wraps. Absent and '' are left out. */
export interface MultusSettings {
  /** where the node sees it */
  readonly kubeconfig: string;
  /** undefined: that of the wrapped configuration */
  readonly cniVersion?: string | undefined;
  /** the wrapped configuration gets `cniVersion` too, and need not have it */
  readonly isVersionForced?: boolean;
  /** the network gets the name of the wrapped one */
  readonly isNameTaken?: boolean;
  readonly namespaceIsolation?: boolean;
  readonly globalNamespaces?: string;
  /** default true */
  readonly isolateDefaultNetwork?: boolean;
  /** default true */
  readonly isolateDevices?: boolean;
  readonly statusRdma?: boolean;
  /** default true */
  readonly logToStderr?: boolean;
  readonly logLevel?: string;
  readonly logFile?: string;
  readonly binDir?: string;
  readonly confDir?: string;
  readonly readinessIndicatorFile?: string;
}

export interface GeneratedConf {
  readonly name: typeof SINGLE | typeof LIST;
  readonly text: string;
}

const NAME = 'multus-cni-network';

/** Plugins of a network: of a list, or the only one. */
export const pluginsIn = (network: JsonObject): readonly JsonObject[] => {
  const plugins = lookUp(network, 'plugins');
  return Array.isArray(plugins) ? (plugins as readonly Json[]).filter(isObject) : [network];
};

/** Does it run the meta plugin? To wrap it would be to call it for ever. */
export const runsMultus = (network: JsonObject): boolean =>
  pluginsIn(network).some((plugin) => META_TYPES.includes(textIn(plugin, 'type')));

/**
 * The configuration that runs multus, with the node's own network as its first delegate, laid out as Go's installer does:
 * a list from version 1.0.0 on, before that a single plugin.
 *
 * @throws Error saying which version is wrong
 */
export function multusConf(primary: JsonObject, settings: MultusSettings): GeneratedConf {
  const cniVersion = versionOf(primary, settings);
  const delegate = settings.isVersionForced === true ? { ...primary, cniVersion } : primary;
  const name = settings.isNameTaken === true ? textIn(primary, 'name') : NAME;
  const isList = Number.parseInt(cniVersion, 10) >= 1;
  const [outer, field, inner] = isList ? [4, 8, 12] : [8, 8, 16];
  const members = membersOf(primary, settings).map(([key, value]) => `${JSON.stringify(key)}: ${compact(value)}`);
  const head = { cniVersion, name };
  const pad = ' '.repeat(field);
  const plugin = [
    ...['"type": "multus"', ...members].map((line) => `${pad}${line},`),
    `${pad}"delegates": [`,
    `${' '.repeat(inner)}${compact(sorted(delegate))}`,
    `${pad}]`,
  ];
  const opening = Object.entries(head).map(([key, value]) => `${' '.repeat(outer)}"${key}": ${JSON.stringify(value)},`);
  const lines = isList
    ? ['{', ...opening, '    "plugins": [ {', ...plugin, '    }]', '}']
    : ['{', ...opening, ...plugin, '}'];
  return { name: isList ? LIST : SINGLE, text: `${lines.join('\n')}\n` };
}

function versionOf(primary: JsonObject, { cniVersion: wanted, isVersionForced }: MultusSettings): string {
  if (isVersionForced === true && wanted !== undefined) {
    return wanted;
  }
  const own = parseNetwork(primary).cniVersion;
  if (own === '') {
    throw new Error('it has no "cniVersion"');
  }
  if (wanted !== undefined && wanted !== own) {
    throw new Error(`its "cniVersion" is ${own}, not ${wanted} as --cni-version wants`);
  }
  if (!/^\d+\.\d+\.\d+$/.test(own)) {
    throw new Error(`its "cniVersion" is no version: ${JSON.stringify(own)}`);
  }
  return own;
}

function membersOf(primary: JsonObject, settings: MultusSettings): readonly (readonly [string, unknown])[] {
  const capabilities = capabilitiesIn(primary);
  const isAny = Object.keys(capabilities).length > 0;
  const all: readonly (readonly [string, unknown])[] = [
    ['capabilities', isAny ? capabilities : undefined],
    ['namespaceIsolation', settings.namespaceIsolation === true ? true : undefined],
    ['globalNamespaces', settings.globalNamespaces],
    ['isolateDefaultNetwork', settings.isolateDefaultNetwork === false ? false : undefined],
    ['isolateDevices', settings.isolateDevices === false ? false : undefined],
    ['statusRdma', settings.statusRdma === true ? true : undefined],
    ['logToStderr', settings.logToStderr === false ? false : undefined],
    ['logLevel', settings.logLevel],
    ['logFile', settings.logFile],
    ['binDir', settings.binDir],
    ['confDir', settings.confDir],
    ['readinessindicatorfile', settings.readinessIndicatorFile],
    ['kubeconfig', settings.kubeconfig],
  ];
  return all.filter(([, value]) => value !== undefined && value !== '');
}

/** What any plugin of the network takes: the runtime then fills it in for multus, which hands it on. */
export function capabilitiesIn(primary: JsonObject): Readonly<Record<string, true>> {
  const names = pluginsIn(primary).flatMap((plugin) => {
    const capabilities = lookUp(plugin, 'capabilities');
    return isObject(capabilities) ? Object.keys(capabilities).filter((name) => capabilities[name] === true) : [];
  });
  return Object.fromEntries([...new Set(names)].sort().map((name) => [name, true]));
}
