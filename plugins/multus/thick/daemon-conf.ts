/** The configuration of the Go plugin's daemon, as far as the agent follows it. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Conf, conf, flag, integer, readConf, text } from '../../../lib/cni/config.ts';
import { CniError, withPrefix } from '../../../lib/cni/errors.ts';
import { isObject, type JsonObject, parseJson } from '../../../lib/cni/json.ts';
import { CommonConf, MultusConf } from '../config.ts';
import { isGenerated, type ShimSettings } from './shim-conf.ts';

const DaemonConf = conf({
  chrootDir: text('Root of the plugins that are executed.'),
  socketDir: text('Folder of the socket.'),
  multusConfigFile: text('Where the configuration of the shim comes from.'),
  cniConfigDir: text('Where it is written.'),
  multusAutoconfigDir: text("Where the node's own network is."),
  multusMasterCNI: text('Its file; default: the first one.'),
  cniVersion: text('Version of the configuration of the shim.'),
  overrideNetworkName: flag('It has the name of the network.'),
  readinessindicatorfile: text('It is written when this file is there.'),
  connectionLimit: integer('Callers that are attended to at the same time.', { min: 0 }),
});

/** What a file says. */
export interface Daemon {
  readonly socket: string;
  readonly mostCallers: number | undefined;
  /** root of the plugins that are executed; '' for the agent's own */
  readonly root: string;
  /** keys that win over those of each call */
  readonly overlay: JsonObject;
  /** keys that say something to the daemon of Go, and nothing to the agent */
  readonly unheeded: readonly string[];
  /** all of the file */
  readonly document: JsonObject;
  readonly shim: ShimSettings;
  /** what calls for one interface, which have no configuration of multus, are done with */
  readonly conf: Conf<typeof MultusConf>;
  readonly common: CommonConf;
}

const SOCKET_FOLDER = '/run/multus/';
const SOCKET = 'multus.sock';

const CONF_FOLDER = '/etc/cni/net.d';

/** What they are about is not the agent's: how it reaches the API server, what others write. */
const UNHEEDED = ['metricsPort', 'enablePprof', 'perNodeCertificate', 'multusConfigFile', 'forceCNIVersion'];

/** @throws CniError when the file cannot be read or used */
export function readDaemonConf(file: string): Daemon {
  try {
    return daemonOf(parseJson(readFileSync(file, 'utf8')));
  } catch (error) {
    throw withPrefix(`cannot use "${file}"`, error);
  }
}

/** @throws CniError */
export function daemonOf(document: unknown): Daemon {
  if (!isObject(document)) {
    throw new CniError('decodeFailure', 'it is not an object');
  }
  const { chrootDir, socketDir, connectionLimit, ...shim } = readConf(DaemonConf, document);
  const waits = !isGenerated(shim.multusConfigFile); // who writes the configuration waits for the node itself
  const overlay = Object.fromEntries(
    Object.entries(document).filter(([key]) => waits || key.toLowerCase() !== 'readinessindicatorfile'),
  );
  return {
    socket: join(socketDir || SOCKET_FOLDER, SOCKET),
    mostCallers: connectionLimit === 0 ? undefined : connectionLimit,
    root: chrootDir === '' ? '' : resolve('/', chrootDir),
    overlay,
    document,
    shim: { ...shim, cniConfigDir: shim.cniConfigDir || CONF_FOLDER },
    unheeded: Object.keys(document).filter((key) => UNHEEDED.some((one) => one.toLowerCase() === key.toLowerCase())),
    conf: readConf(MultusConf, overlay),
    common: readConf(CommonConf, overlay),
  };
}
