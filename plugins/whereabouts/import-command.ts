import type { Command } from '../../lib/cni/command.ts';
import { DEFAULT_DATA_DIR } from './place.ts';

/**
 * Takes over the reservations of a host-local folder, for a node that changes over with running pods on it, or those of an
 * export, or what NVIDIA's plugin has.
 */
export const importCommand: Command = {
  name: 'ipam import',
  usage:
    'braid ipam import FOLDER --range CIDR [--network-name NAME] [--data-dir FOLDER | --kubeconfig FILE] | ' +
    'braid ipam import FILE [--reservations STORE] [--data-dir FOLDER | --kubeconfig FILE] | ' +
    'braid ipam import --nv-ipam --kubeconfig FILE [--reservations STORE]',
  about:
    'import what host-local or NV-IPAM has given out, or an export, into a datastore; running pods keep their addresses',
  options: [
    ['FOLDER', "host-local's folder of one network, usually /var/lib/cni/networks/<network>"],
    [
      'FILE',
      'what "braid ipam export" has printed, with network names and ranges; or IPPools and CIDRPools of NV-IPAM, as YAML or JSON: the configuration that is alike is printed',
    ],
    [
      '--range CIDR',
      'of FOLDER only addresses in this range; one range of the new configuration, as it is written there',
    ],
    ['--network-name NAME', '"ipam.network_name" of the new configuration, if it has one'],
    [
      '--reservations STORE',
      "what NV-IPAM's daemon keeps on this node, usually /var/lib/cni/nv-ipam/store: imported too",
    ],
    ['--nv-ipam', "instead of FILE, NV-IPAM's pools in the cluster"],
    [
      '--data-dir FOLDER',
      `"ipam.data_dir" of the new configuration (default ${DEFAULT_DATA_DIR}); with a cluster, the folder of this node's journal`,
    ],
    [
      '--kubeconfig FILE',
      'into the pools of this cluster, instead of the "file" datastore; as the configuration names it',
    ],
    ['--in-cluster', 'or into those of the cluster that this pod runs in'],
    ['--namespace NAME', "where the cluster's pools are (default: that of the kubeconfig's context, else kube-system)"],
    ['--json', 'print JSON'],
  ],
  run: async (args, scope, print, env) => (await import('./import.ts')).runImport(args, scope, print, env),
};
