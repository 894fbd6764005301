import * as z from 'zod/mini';
import {
  anyObject,
  type Conf,
  conf,
  delegateTimeout,
  dns,
  flag,
  integer,
  list,
  object,
  section,
  text,
} from '../../lib/cni/config.ts';
import type { JsonObject } from '../../lib/cni/json.ts';

/** In bits: more than 31 of them. */
const rate = (about: string) => integer(about, { max: Number.MAX_SAFE_INTEGER });

const RuntimeConfig = {
  portMappings: list(
    object({
      hostPort: integer('Port of the node.'),
      containerPort: integer('Port of the container.'),
      protocol: text('Protocol.'),
      hostIP: text('Address of the node.'),
    }),
    'Capability `portMappings`.',
  ),
  bandwidth: section(
    {
      ingressRate: rate('Bits per second into the container.'),
      ingressBurst: rate('Bits of a burst into the container.'),
      egressRate: rate('Bits per second out of the container.'),
      egressBurst: rate('Bits of a burst out of the container.'),
    },
    'Capability `bandwidth`.',
  ),
  ips: list(text('Address, with or without a prefix.'), 'Capability `ips`.'),
  mac: text('Capability `mac`.'),
  infinibandGUID: text('Capability `infinibandGUID`.'),
  deviceID: text('Capability `deviceID`.'),
  CNIDeviceInfoFile: text('Capability `CNIDeviceInfoFile`.'),
};

const LOGGING = {
  logToStderr: flag('Write the log to stderr.', true),
  logFile: text('Append the log to this file too. It and its folder are created.'),
  logLevel: text('`panic`, `error`, `verbose` or `debug`. Default: `panic`, which writes nothing.'),
  logOptions: section(
    {
      maxAge: integer('Days after which a rotated file is deleted; 0: never.', { min: 0, fallback: 5 }),
      maxSize: integer('Megabytes at which the file is rotated.', { min: 0, fallback: 100 }),
      maxBackups: integer('How many rotated files are kept; 0: all.', { min: 0, fallback: 5 }),
      compress: flag('Compress rotated files, with the gzip of the node, which no call waits for.', true),
    },
    'When `logFile` is rotated.',
  ),
};

/** What every verb needs, and all that DEL reads: a delegate that is configured wrongly must not block it. */
const COMMON = {
  cniDir: text('Folder of the scratch files and of the result cache. Default: `/var/lib/cni/multus`.'),
  binDir: text('Folder that is searched for plugins before those of CNI_PATH. Default: `/opt/cni/bin`.'),
  readinessindicatorfile: text('ADD, STATUS and GC wait up to 45 seconds until this file is there.'),
  retryDeleteOnError: flag('Keep the scratch file when a DEL fails, so that the next one tries every network again.'),
  delegateTimeout: delegateTimeout(),
  ...LOGGING,
};

const delegate = z.record(z.string(), z.unknown()) as unknown as z.ZodMiniType<JsonObject>;

/** Absent is not the same as empty here. */
const systemNamespaces = z.optional(z.nullable(z.array(z.string())));
z.globalRegistry.add(systemNamespaces, {
  description: 'Namespaces whose pods get no `defaultNetworks`. Default: `kube-system` alone.',
});

export const MultusConf = conf({
  delegates: list(delegate, 'The networks: CNI configurations or lists. The first is the own network of the pod.'),
  clusterNetwork: text(
    'Takes the place of `delegates`: path of a `.conf`, a `.conflist` or their folder; or the name of a NetworkAttachmentDefinition in `multusNamespace`, or else of a configuration in `confDir`.',
  ),
  defaultNetworks: list(text('Path or name.'), 'More networks of every pod, with `clusterNetwork`: likewise.'),
  systemNamespaces,
  auxiliaryCNIChainName: text('Plugins that run after all networks: folder of this name beside `clusterNetwork`.'),
  ...COMMON,
  runtimeConfig: section(RuntimeConfig, 'Filled in by the runtime; handed on to delegates by their `capabilities`.'),
  capabilities: anyObject('Tells the runtime what to fill in.'),
  kubeconfig: text(
    'Path of the kubeconfig for the API server. Without it, and outside a pod, annotations are not looked at.',
  ),
  confDir: text(
    'Folder of configurations that networks name, and that of empty NetworkAttachmentDefinitions. Default: `/etc/cni/multus/net.d`.',
  ),
  multusNamespace: text('Namespace of networks that the configuration names. Default: `kube-system`.'),
  namespaceIsolation: flag(
    'Annotations may name networks of the own namespace of the pod only, and of `globalNamespaces`.',
  ),
  globalNamespaces: text('Namespaces whose networks all pods may have, separated by commas. Default: `default`.'),
  isolateDefaultNetwork: flag(
    'With `namespaceIsolation`: the default-network annotation may name networks of these namespaces and of `multusNamespace` only.',
    true,
  ),
  isolateDevices: flag(
    'With `namespaceIsolation`: an annotation may not name a device (`deviceID`); a pod has those that the kubelet has given it.',
    true,
  ),
  statusRdma: flag(
    'Show in network-status the RDMA device of each network too, and the index of its address among those of RoCE v2.',
  ),
  prevResult: anyObject('Must be a result; not used.'),
  dns: dns('Not used.'),
  ipam: anyObject('Not used.'),
});
export type MultusConf = Conf<typeof MultusConf>;

export const CommonConf = conf(COMMON);
export type CommonConf = Conf<typeof CommonConf>;

export const RuntimeConfigConf = conf(RuntimeConfig);
export type RuntimeConfigConf = Conf<typeof RuntimeConfigConf>;
