import type { Env } from '../sys/execute.ts';

/** of a program */
export type Form = 'standalone' | 'script';

/** of what is installed */
export type InstalledForm = Form | 'resident';

/** The running program. */
export interface Program {
  readonly version: string;
  /** of the build: each of its files ends with its mark */
  readonly id: string;
  readonly form: Form;
  /** its own file */
  readonly file: string;
  /** the folder of that file and what was shipped with it */
  readonly folder: string;
  /** what plugins are in the resident form */
  readonly launcher: () => Uint8Array;
  /** for executed plugins */
  readonly env: Env;
  /** For a command that runs until it is told to end: fires with the first SIGTERM or SIGINT, and a second one kills. */
  stopSignal(): AbortSignal;
  /** Calls at each SIGHUP, which then does not kill: configurations are to be read again. */
  onHangup?(call: () => void): void;
}

/** Default folders on a node. */
export const BIN_FOLDER = '/opt/cni/bin';
export const CONF_FOLDER = '/etc/cni/net.d';
/** libcni's cache: runtimes record attachments in `results` below it */
export const CACHE_FOLDER = '/var/lib/cni';

/** in the plugin folder: what launchers need beside them */
export const SUPPORT_FOLDER = '.braid';
/** what they execute where no agent listens */
export const STANDALONE_NAME = `${SUPPORT_FOLDER}/standalone`;

/** where launchers call the agent, which the build tells them */
export const AGENT_SOCKET = '/run/braid/agent.sock';

/** beside the socket where launchers call: where people look at the agent */
export const STATUS_SOCKET_NAME = 'status.sock';

/** Name of the Lease that the leading controller of a cluster holds. */
export const CONTROLLER_LEASE = 'braid-controller';

/** Where the Go SR-IOV device plugin has its configuration, and the prefix of resources that name none. */
export const SRIOV_CONFIG = '/etc/pcidp/config.json';
export const SRIOV_PREFIX = 'intel.com';
/** Where the Go RDMA shared device plugin has its configuration. */
export const RDMA_CONFIG = '/k8s-rdma-shared-dev-plugin/config.json';
export const KUBELET_FOLDER = '/var/lib/kubelet';
