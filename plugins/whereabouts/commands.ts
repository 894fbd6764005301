import type { Command } from '../../lib/cni/command.ts';
import { importCommand } from './import-command.ts';
import { DEFAULT_DATA_DIR } from './place.ts';

const PLACES = [
  ['--data-dir FOLDER', `one more folder of stores, besides the configured ones and ${DEFAULT_DATA_DIR}; repeatable`],
  ['--conf-dir FOLDER', 'network configurations (default /etc/cni/net.d)'],
  ['--cache-dir FOLDER', 'libcni\'s cache, which holds "results" (default /var/lib/cni)'],
] as const;
const NAMESPACE = [
  '--namespace NAME',
  "where a cluster's pools are (default: that of the kubeconfig's context, else kube-system)",
] as const;
const CLUSTERS = [
  ['--kubeconfig FILE', 'also the pools of this cluster, besides those of configured ones; repeatable'],
  ['--in-cluster', 'also those of the cluster that this pod runs in'],
  NAMESPACE,
] as const;
const AS_JSON = ['--json', 'print JSON'] as const;

/** What people ask of pools. What a command needs is loaded when it runs. */
export const commands: readonly Command[] = [
  importCommand,
  {
    name: 'ipam export',
    usage: 'braid ipam export [--data-dir FOLDER | --kubeconfig FILE]',
    about: 'print all reservations of a datastore as JSON, for "braid ipam import"',
    options: [
      ['--data-dir FOLDER', `the folder of the "file" datastore (default ${DEFAULT_DATA_DIR})`],
      ['--kubeconfig FILE', 'instead, the pools of this cluster'],
      ['--in-cluster', 'or those of the cluster that this pod runs in'],
      NAMESPACE,
    ],
    run: async (args, scope, print, env) => (await import('./export.ts')).exportStore(args, scope, print, env),
  },
  {
    name: 'ipam show',
    usage: 'braid ipam show [POOL] [--svg FILE]',
    about: 'show the address pools of this node and of clusters: taken, free and excluded addresses',
    options: [
      ['POOL', 'a pool, by name or range (default: all)'],
      ['--svg FILE', 'also draw the pools as an SVG file'],
      ...PLACES,
      ...CLUSTERS,
      AS_JSON,
    ],
    run: async (args, scope, print, env) => (await import('./show.ts')).show(args, scope, print, env),
  },
  {
    name: 'ipam check',
    usage: 'braid ipam check [--repair]',
    about: 'check reservations against records, namespaces and pods: leaked, duplicate and unreserved addresses',
    options: [
      ['--repair', 'free what dead containers and pods hold, and rebuild a damaged store from what can be proved'],
      ['--cri SOCKET', 'the runtime\'s CRI socket (default: detected); "none" asks no runtime'],
      ['--wait SECONDS', 'pause before the second scan, where one is needed (default 30)'],
      ...PLACES,
      ...CLUSTERS,
      AS_JSON,
    ],
    run: async (args, scope, print, env) => (await import('./check.ts')).check(args, scope, print, env),
  },
];
