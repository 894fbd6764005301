import { basename, dirname, isAbsolute, join } from 'node:path';
import { SERVICE_ACCOUNT } from '../../kube/in-cluster.ts';
import { type HealthAddress, parseAddress } from '../../observe/health.ts';
import { WrongUsage } from '../options.ts';
import { BIN_FOLDER, CONF_FOLDER } from '../program.ts';
import type { MultusSettings } from './conf.ts';

const text = { type: 'string' } as const;
const NO_ADDRESS = 'none';

/** Options of `braid install --multus`: those of Go's installer under their names, and our own. */
export const MULTUS_OPTIONS = {
  multus: { type: 'boolean', default: false },
  watch: { type: 'boolean', default: false },
  whereabouts: { type: 'boolean', default: false },
  'host-root': text,
  'service-account': { type: 'string', default: SERVICE_ACCOUNT },
  interval: { type: 'string', default: '10' },
  address: { type: 'string', default: NO_ADDRESS },
  daemonset: text,
  account: text,
  'cni-bin-dir': text,
  'cni-conf-dir': text,
  'cni-version': text,
  'multus-conf-file': { type: 'string', default: 'auto' },
  'multus-bin-file': text,
  'multus-cni-conf-dir': text,
  'multus-autoconfig-dir': text,
  'multus-kubeconfig-file-host': text,
  'multus-master-cni-file-name': text,
  'multus-log-level': text,
  'multus-log-file': text,
  'multus-log-to-stderr': { type: 'string', default: 'true' },
  'global-namespaces': text,
  'readiness-indicator-file': text,
  'additional-bin-dir': text,
  'namespace-isolation': { type: 'string', default: 'false' },
  'override-network-name': { type: 'string', default: 'false' },
  'skip-multus-binary-copy': { type: 'string', default: 'false' },
  'cleanup-config-on-exit': { type: 'string', default: 'false' },
  'skip-config-watch': { type: 'string', default: 'false' },
  'rename-conf-file': { type: 'string', default: 'false' },
  'force-cni-version': { type: 'string', default: 'false' },
  'skip-tls-verify': { type: 'string', default: 'false' },
  'isolate-default-network': { type: 'string', default: 'true' },
  'isolate-devices': { type: 'string', default: 'true' },
  'status-rdma': { type: 'string', default: 'false' },
} as const;

/** Those of them that are true or false, and may be without a value. */
const FLAGS: readonly string[] = [
  'multus-log-to-stderr',
  'namespace-isolation',
  'override-network-name',
  'skip-multus-binary-copy',
  'cleanup-config-on-exit',
  'skip-config-watch',
  'rename-conf-file',
  'force-cni-version',
  'skip-tls-verify',
  'isolate-default-network',
  'isolate-devices',
  'status-rdma',
];

type Values = Readonly<Record<string, string | boolean | undefined>>;

/** Where things are, as this program sees them. */
export interface MultusInstall {
  readonly bin: string;
  readonly confDir: string;
  /** where the node's own network is configured */
  readonly autoconfigDir: string;
  /** undefined: the first one */
  readonly primary: string | undefined;
  /** undefined: the configuration is generated */
  readonly confFile: string | undefined;
  /** the root of the node's file system, '' when it is this program's */
  readonly hostRoot: string;
  readonly serviceAccount: string;
  /** whose tokens plugins get; undefined: that of the pod */
  readonly account: string | undefined;
  /** where the node sees the kubeconfig */
  readonly kubeconfig: string;
  readonly isKubeconfigNamed: boolean;
  readonly isTlsUnverified: boolean;
  readonly settings: Omit<MultusSettings, 'kubeconfig'>;
  readonly isPrimaryRenamed: boolean;
  readonly hasPrograms: boolean;
  readonly hasWhereabouts: boolean;
  readonly isWatching: boolean;
  readonly isConfKept: boolean;
  readonly isCleanedUp: boolean;
  readonly intervalMs: number;
  /** of health; undefined: none is served */
  readonly address: HealthAddress | undefined;
  readonly daemonset: { readonly namespace: string; readonly name: string } | undefined;
}

/** `--flag` is `--flag=true`, for options that also take `=false`. */
export const withFlagValues = (args: readonly string[]): readonly string[] =>
  args.map((word) => (word.startsWith('--') && FLAGS.includes(word.slice(2)) ? `${word}=true` : word));

/** @throws WrongUsage */
export function readMultusInstall(values: Values): MultusInstall {
  const given = (name: string): string | undefined => {
    const value = values[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const flag = (name: string): boolean => truth(name, given(name) ?? 'false');
  const folder = (name: string): string | undefined => absolute(name, given(name));
  const hostRoot = hostRootIn(values);
  const onNode = (path: string): string => nodePath(hostRoot, path);
  const confDir = folder('cni-conf-dir') ?? `${hostRoot}${CONF_FOLDER}`;
  const [ownConf, confFile] = [given('multus-cni-conf-dir'), given('multus-conf-file')];
  const kubeconfig = given('multus-kubeconfig-file-host');
  return {
    bin: folder('cni-bin-dir') ?? folder('bin') ?? `${hostRoot}${BIN_FOLDER}`,
    confDir,
    autoconfigDir: folder('multus-autoconfig-dir') ?? confDir,
    primary: fileName('multus-master-cni-file-name', given('multus-master-cni-file-name')),
    confFile: confFile === 'auto' ? undefined : absolute('multus-conf-file', confFile),
    hostRoot,
    serviceAccount: folder('service-account') ?? SERVICE_ACCOUNT,
    account: accountName(given('account')),
    kubeconfig: kubeconfig ?? onNode(join(confDir, 'multus.d/multus.kubeconfig')),
    isKubeconfigNamed: kubeconfig !== undefined,
    isTlsUnverified: flag('skip-tls-verify'),
    settings: {
      cniVersion: given('cni-version'),
      isVersionForced: flag('force-cni-version'),
      isNameTaken: flag('override-network-name'),
      namespaceIsolation: flag('namespace-isolation'),
      globalNamespaces: given('global-namespaces') ?? '',
      isolateDefaultNetwork: flag('isolate-default-network'),
      isolateDevices: flag('isolate-devices'),
      statusRdma: flag('status-rdma'),
      logToStderr: flag('multus-log-to-stderr'),
      logLevel: logLevel(given('multus-log-level')),
      logFile: given('multus-log-file') ?? '',
      binDir: given('additional-bin-dir') ?? '',
      confDir: ownConf === undefined ? '' : onNode(ownConf),
      readinessIndicatorFile: given('readiness-indicator-file') ?? '',
    },
    isPrimaryRenamed: flag('rename-conf-file'),
    hasPrograms: !flag('skip-multus-binary-copy'),
    hasWhereabouts: values['whereabouts'] === true,
    isWatching: values['watch'] === true,
    isConfKept: flag('skip-config-watch'),
    isCleanedUp: flag('cleanup-config-on-exit'),
    address: addressIn(given('address') ?? NO_ADDRESS),
    intervalMs: seconds('interval', given('interval') ?? '') * 1000,
    daemonset: values['daemonset'] === undefined ? undefined : objectName('daemonset', String(values['daemonset'])),
  };
}

/** A path as the node sees it. */
export const nodePath = (hostRoot: string, path: string): string =>
  hostRoot !== '' && path.startsWith(`${hostRoot}/`) ? path.slice(hostRoot.length) : path;

const HOST = '/host';
const PLACES = ['cni-bin-dir', 'cni-conf-dir', 'multus-autoconfig-dir', 'multus-cni-conf-dir', 'bin'];

/** Go's installer has the node's folders below /host, and no option for it. */
function hostRootIn(values: Values): string {
  const root = values['host-root'];
  if (typeof root === 'string') {
    return (absolute('host-root', root) ?? '').replace(/\/+$/, '');
  }
  return PLACES.some((name) => String(values[name] ?? '').startsWith(`${HOST}/`)) ? HOST : '';
}

function absolute(name: string, path: string | undefined): string | undefined {
  if (path !== undefined && !isAbsolute(path)) {
    throw new WrongUsage(`cannot use --${name} "${path}": it is not an absolute path`);
  }
  return path === undefined ? undefined : join(dirname(path), basename(path));
}

function fileName(name: string, value: string | undefined): string | undefined {
  if (value !== undefined && (value.includes('/') || value === '.' || value === '..')) {
    throw new WrongUsage(`cannot use --${name} "${value}": it is no name of a file`);
  }
  return value;
}

function accountName(value: string | undefined): string | undefined {
  if (value !== undefined && !/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(value)) {
    throw new WrongUsage(`cannot use --account "${value}": it is no name of a service account`);
  }
  return value;
}

function truth(name: string, value: string): boolean {
  if (/^(true|t|1)$/i.test(value)) {
    return true;
  }
  if (/^(false|f|0)$/i.test(value)) {
    return false;
  }
  throw new WrongUsage(`cannot use --${name} "${value}": it is "true" or "false"`);
}

function logLevel(value: string | undefined): string {
  const level = (value ?? '').toLowerCase();
  if (!['', 'panic', 'error', 'verbose', 'debug'].includes(level)) {
    throw new WrongUsage(`cannot use --multus-log-level "${value}": it is panic, error, verbose or debug`);
  }
  return level;
}

function addressIn(value: string): HealthAddress | undefined {
  const address = value === NO_ADDRESS ? undefined : parseAddress(value);
  if (address === undefined && value !== NO_ADDRESS) {
    throw new WrongUsage(`cannot use --address "${value}": it is no address to listen at, such as 127.0.0.1:9447`);
  }
  return address;
}

function seconds(name: string, value: string): number {
  if (!/^\d{1,5}$/.test(value) || Number(value) === 0) {
    throw new WrongUsage(`cannot use --${name} "${value}": it is a number of seconds`);
  }
  return Number(value);
}

/** `NAMESPACE/NAME` @throws WrongUsage */
export function objectName(option: string, value: string): NonNullable<MultusInstall['daemonset']> {
  const [namespace = '', name = '', ...more] = value.split('/');
  if (namespace === '' || name === '' || more.length > 0) {
    throw new WrongUsage(`cannot use --${option} "${value}": write NAMESPACE/NAME`);
  }
  return { namespace, name };
}
