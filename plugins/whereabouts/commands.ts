import type { Command } from '../../lib/cni/plugin.ts';
import { importCommand } from './import.ts';
import { DEFAULT_DATA_DIR } from './place.ts';

const PLACES = [
  ['--data-dir FOLDER', `one more folder of stores, besides those that are configured and ${DEFAULT_DATA_DIR}`],
  ['--conf-dir FOLDER', 'configurations of the runtime: /etc/cni/net.d'],
  ['--cache-dir FOLDER', 'records of the runtime, in "results" below it: /var/lib/cni'],
] as const;
const AS_JSON = ['--json', 'print JSON'] as const;

/** What people ask of the "file" datastore. What a command needs is loaded when it runs. */
export const commands: readonly Command[] = [
  importCommand,
  {
    name: 'ipam show',
    usage: 'braid ipam show [POOL] [--svg FILE]',
    about: 'show the pools of this node, and which of their addresses are free',
    options: [
      ['POOL', 'name of a pool, or its range; all unless told'],
      ['--svg FILE', 'write the picture as an SVG too'],
      ...PLACES,
      AS_JSON,
    ],
    run: async (args, host, print) => (await import('./show.ts')).show(args, host, print),
  },
  {
    name: 'ipam check',
    usage: 'braid ipam check [--repair]',
    about: 'compare reservations with records and namespaces: leaks, doubles, addresses that are not reserved',
    options: [
      ['--repair', 'free what is reserved for containers that are gone, and nothing else'],
      ['--cri SOCKET', 'of the runtime: found unless told; "none" goes by namespaces alone'],
      ['--wait SECONDS', 'before the second look at a container that may be on its way: 30'],
      ...PLACES,
      AS_JSON,
    ],
    run: async (args, host, print) => (await import('./check.ts')).check(args, host, print),
  },
];
