import type { Command } from '../cni/command.ts';
import type { Plugin } from '../cni/plugin.ts';
import type { PartOption } from '../controller/part.ts';
import { help, version } from './help.ts';
import { MULTUS_HELP } from './multus/help.ts';
import { LOOK_HELP } from './observe/help.ts';
import {
  AGENT_SOCKET,
  BIN_FOLDER,
  CACHE_FOLDER,
  CONF_FOLDER,
  CONTROLLER_LEASE,
  KUBELET_FOLDER,
  type Program,
  RDMA_CONFIG,
  SRIOV_CONFIG,
  SRIOV_PREFIX,
} from './program.ts';

type Run = (program: Program) => Command['run'];

const JSON_OPTION = ['--json', 'print JSON'] as const;
const BIN_OPTION = ['--bin FOLDER', `plugin folder (default ${BIN_FOLDER})`] as const;
const PLACE_OPTIONS = [
  ['--conf-dir FOLDER', `network configurations (default ${CONF_FOLDER})`],
  ['--cache-dir FOLDER', `libcni's cache, which holds "results" (default ${CACHE_FOLDER})`],
] as const;
const BINS_OPTION = ['--bin FOLDERS', `plugin folders, separated by colons (default ${BIN_FOLDER})`] as const;
const STATUS_OPTION = [
  '--status FILE',
  "the agent's status socket (default: beside the one where launchers call)",
] as const;
const CRI_OPTION = ['--cri SOCKET', 'the runtime\'s CRI socket (default: detected); "none" asks no runtime'] as const;
const WAIT_OPTION = ['--wait SECONDS', 'pause before the second scan, where one is needed (default 30)'] as const;

const HANDING_OPTIONS = [
  ['--resource-prefix NAME', `prefix of resources that name none (default ${SRIOV_PREFIX})`],
  ['--use-cdi', 'have the container runtime add device files'],
  ['--kubelet FOLDER', `of the kubelet (default ${KUBELET_FOLDER})`],
] as const;

const DEVICE_CONFIG_HELP = [
  ['--config-file FILE', `resources, as the Go SR-IOV device plugin has them (default ${SRIOV_CONFIG})`],
  ['--rdma-config-file FILE', `resources, as the Go RDMA shared device plugin has them (default ${RDMA_CONFIG})`],
  ['--resource-prefix NAME', `prefix of resources that name none (default ${SRIOV_PREFIX})`],
  ['--kubelet FOLDER', `of the kubelet (default ${KUBELET_FOLDER})`],
] as const;

/** All commands, by name. */
export const commandsOf = (program: Program, plugins: readonly Plugin[]): readonly Command[] =>
  [
    ...ownCommands(program),
    ...plugins.flatMap((plugin) => plugin.commands ?? []),
    agentCommand(program, plugins),
    controllerCommand(program, plugins),
    helpCommand(program, plugins),
    versionCommand(program),
  ].sort((a, b) => (a.name < b.name ? -1 : 1));

/** Commands about the node. Their modules are loaded on demand. */
const ownCommands = (program: Program): readonly Command[] => [
  command(
    program,
    'install',
    '[--bin FOLDER] [--form standalone|script|resident] [--plugins a,b] [--replace] [--multus [--watch]]',
    {
      about: "install the plugins into the runtime's plugin folder",
      options: [
        BIN_OPTION,
        ['--form FORM', '"standalone", with Node inside, or "script" (default: the form of this program);'],
        ['', '"resident": launchers, which call "braid agent"'],
        ['', 'there are systemd units for it where systemd runs'],
        ['--no-units', 'resident: somebody else runs the agent, such as a DaemonSet'],
        ['--on-demand', 'resident: the first call starts an agent, which ends after a minute without calls'],
        [
          '--device-config FILE',
          'resident: the agent of the units hands out devices too, from the boot on, as "braid agent"',
        ],
        ['', 'with this option does; an install without it ends that'],
        ['--rdma-device-config FILE', 'resident: the same for RDMA devices that pods share'],
        ['--plugins NAMES', 'only these plugins, separated by commas'],
        ['--replace', 'keep foreign plugins with the same names as <name>.before-braid'],
        ...MULTUS_HELP,
        JSON_OPTION,
      ],
      run: (self) => async (args, scope, print) =>
        args.includes('--multus')
          ? (await import('./multus/install.ts')).installMultus(self, args, scope, print)
          : (await import('./install.ts')).install(self, args, scope, print),
    },
  ),
  command(program, 'device-plugins', '[--config-file FILE] [--rdma-config-file FILE] [--kubelet FOLDER]', {
    about: 'hand out the devices of this node to its kubelet, until told to end',
    options: [
      ['--config-file FILE', `resources, as the Go SR-IOV device plugin has them (default ${SRIOV_CONFIG})`],
      ['--rdma-config-file FILE', 'resources, as the Go RDMA shared device plugin has them'],
      ...HANDING_OPTIONS,
    ],
    run: (self) => async (args, scope) => (await import('./device-plugins.ts')).devicePlugins(self, args, scope),
  }),
  command(program, 'devices', '[--config-file FILE] [--rdma-config-file FILE] [--kubelet FOLDER]', {
    about: 'show the devices that this node hands out: of which resource, how they are, and who has them',
    options: [...DEVICE_CONFIG_HELP, JSON_OPTION],
    run: () => async (args, scope, print) => (await import('./devices.ts')).devices(args, scope, print),
  }),
  command(program, 'doctor', '[--bin FOLDER] [--cri SOCKET]', {
    about: 'find what makes plugins fail or run slowly on this node, and say how to fix it',
    options: [BIN_OPTION, CRI_OPTION, ...PLACE_OPTIONS, ...DEVICE_CONFIG_HELP, JSON_OPTION],
    run: (self) => async (args, scope, print) => (await import('./doctor.ts')).doctor(args, scope, print, self.env),
  }),
  command(program, 'gc', '[--cri SOCKET] [--wait SECONDS] [--dry-run]', {
    about: 'release the links, devices and addresses of dead containers, and list what remains and why',
    options: [
      CRI_OPTION,
      WAIT_OPTION,
      ['--dry-run', 'only print what would be released'],
      BINS_OPTION,
      ...PLACE_OPTIONS,
      JSON_OPTION,
    ],
    run: (self) => async (args, scope, print) => (await import('./gc.ts')).gc(self, args, scope, print),
  }),
  command(program, 'list', '', {
    about: 'list the attachments recorded on this node',
    options: [...PLACE_OPTIONS, JSON_OPTION],
    run: () => async (args, scope, print) => (await import('./list.ts')).list(args, scope, print),
  }),
  command(program, 'top', '[--interval SECONDS] [--once]', {
    about: "watch this node's agent: its calls, how long they take, and where the time goes",
    options: [
      STATUS_OPTION,
      ['--interval SECONDS', 'between two looks (default 1)'],
      ['--once', 'print what was since the agent started, and end; so it is without a terminal'],
      JSON_OPTION,
    ],
    run: (self) => async (args, scope, print) => (await import('./observe/top.ts')).top(self, args, scope, print),
  }),
  command(program, 'trace', 'POD [--svg FILE]', {
    about: "draw where the time of a pod's last ADD, CHECK and DEL went: NAMESPACE/NAME, or a container ID's beginning",
    options: [STATUS_OPTION, ['--svg FILE', 'draw into this file'], JSON_OPTION],
    run: (self) => async (args, scope, print) =>
      (await import('./observe/trace.ts')).trace(self.env, args, scope, print),
  }),
  command(program, 'uninstall', '[--bin FOLDER] [--force] [--daemonset NAMESPACE/NAME [--deployment NAMESPACE/NAME]]', {
    about: 'remove installed plugins and the files of "install --multus", and restore what they replaced',
    options: [
      BIN_OPTION,
      ['--force', 'even while pods are attached'],
      CRI_OPTION,
      ...PLACE_OPTIONS,
      ['--daemonset NAME', 'on all nodes, in a pod: delete this DaemonSet, whose pods restore their nodes, and wait'],
      ['--deployment NAME', 'with --daemonset: delete this Deployment before'],
      JSON_OPTION,
    ],
    run: (self) => async (args, scope, print) => (await import('./uninstall.ts')).uninstall(self, args, scope, print),
  }),
];

/** Serves calls, and what else plugins serve on a node. */
const agentCommand = (program: Program, plugins: readonly Plugin[]): Command => {
  const services = plugins.flatMap(({ agentService }) => agentService ?? []);
  const own = services.flatMap(({ options }) => options.map(describedOption));
  const words = own.map(([option]) => `[${option}]`).join(' ');
  return command(
    program,
    'agent',
    `[--socket FILE] [--idle SECONDS] [--stand-by] [--collect SECONDS] [--device-config FILE] [--metrics [HOST]:PORT] [--otlp URL] ${words}`.trim(),
    {
      about: 'serve the calls of launchers on this node, in one process, until told to end',
      options: [
        ['--socket FILE', `where launchers call (default: the one that systemd passes, else ${AGENT_SOCKET})`],
        ['--idle SECONDS', 'end after so long without a call (default: never)'],
        [
          '--stand-by',
          'stay when another agent has taken the socket over, until that has ended: for whoever would start',
        ],
        ['', 'this one again, as a kubelet does'],
        ...own,
        ['--device-config FILE', 'hand out devices to the kubelet, as "braid device-plugins" does; a configuration'],
        ['', 'that cannot be used, or is not there yet, is waited for'],
        ['--rdma-device-config FILE', 'the same for RDMA devices that pods share'],
        ...HANDING_OPTIONS,
        ['--collect SECONDS', 'collect dead containers so often, as "braid gc" does (default 0: never)'],
        CRI_OPTION,
        WAIT_OPTION,
        BINS_OPTION,
        ...PLACE_OPTIONS,
        ...LOOK_HELP,
      ],
      run: (self) => async (args, scope) => (await import('./agent.ts')).agent(self, services, args, scope),
    },
  );
};

const describedOption = ({ name, value, about }: PartOption) =>
  [`--${name}${value === undefined ? '' : ` ${value}`}`, about] as const;

/** Does what plugins have to do for a whole cluster. */
const controllerCommand = (program: Program, plugins: readonly Plugin[]): Command => {
  const parts = plugins.flatMap(({ controllerParts = [] }) => controllerParts);
  return command(program, 'controller', '[--kubeconfig FILE] [--parts a,b] [--address [HOST]:PORT]', {
    about: "do a cluster's work until told to end, as one of several of which one leads",
    options: [
      ['--kubeconfig FILE', 'how to reach the API server (default: the service account of the pod)'],
      ['--namespace NAME', 'namespace of the objects (default: that of the context, else kube-system)'],
      ['--parts NAMES', 'only these parts, separated by commas:'],
      ...parts.map(({ name, about }) => [`  ${name}`, about] as const),
      ['--address [HOST]:PORT', 'serve /healthz, /readyz and /metrics there (default :8080; "none" serves nothing)'],
      ['--lease NAME', `name of the lease that the leader holds (default ${CONTROLLER_LEASE})`],
      ...parts.flatMap(({ options = [] }) => options.map(describedOption)),
    ],
    run: (self) => async (args, scope) => (await import('./controller.ts')).controller(self, parts, args, scope),
  });
};

/** Collects the commands when it runs: it is one of them. */
const helpCommand = (program: Program, plugins: readonly Plugin[]): Command =>
  command(program, 'help', '[COMMAND]', {
    about: 'explain braid, or one of its commands',
    options: [],
    run: (self) => async (args, _host, print) => {
      const commands = commandsOf(self, plugins);
      return help({ commands, plugins: plugins.map(({ name }) => name), version: self.version }, args, print);
    },
  });

const versionCommand = (program: Program): Command =>
  command(program, 'version', '', {
    about: 'print the version',
    options: [JSON_OPTION],
    run: (self) => async (args, _host, print) => version(self, args, print),
  });

interface Described {
  readonly about: string;
  readonly options: readonly (readonly [string, string])[];
  readonly run: Run;
}

const command = (program: Program, name: string, words: string, { about, options, run }: Described): Command => ({
  name,
  usage: `braid ${name} ${words}`.trim(),
  about,
  options,
  run: run(program),
});
