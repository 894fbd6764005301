import type { Command, Plugin } from '../cni/plugin.ts';
import { BIN_FOLDER, CACHE_FOLDER, CONF_FOLDER, type Program } from './program.ts';

type Run = (program: Program) => Command['run'];

const JSON_OPTION = ['--json', 'print JSON'] as const;
const BIN_OPTION = ['--bin FOLDER', `where plugins are: ${BIN_FOLDER}`] as const;
const PLACE_OPTIONS = [
  ['--conf-dir FOLDER', `configurations of the runtime: ${CONF_FOLDER}`],
  ['--cache-dir FOLDER', `records of the runtime, in "results" below it: ${CACHE_FOLDER}`],
] as const;
const CRI_OPTION = ['--cri SOCKET', 'of the runtime: found unless told; "none" goes by namespaces alone'] as const;
const WAIT_OPTION = ['--wait SECONDS', 'before the second look at a container that may be on its way: 30'] as const;

/** All commands, by name. */
export const commandsOf = (program: Program, plugins: readonly Plugin[]): readonly Command[] =>
  [...builtInCommands(program), ...plugins.flatMap((plugin) => plugin.commands ?? [])].sort((a, b) =>
    a.name < b.name ? -1 : 1,
  );

/** Commands about the node as a whole. What one of them needs is loaded when it runs. */
const builtInCommands = (program: Program): readonly Command[] => [
  command(program, 'install', '[--bin FOLDER] [--form standalone|script] [--plugins a,b] [--replace]', {
    about: 'put the plugins into the folder that the runtime takes them from',
    options: [
      BIN_OPTION,
      ['--form FORM', '"standalone", with Node inside, or "script"; as this program is unless told'],
      ['--plugins NAMES', 'some of the plugins only, separated by commas'],
      ['--replace', 'put plugins of the same names aside, as <name>.before-braid'],
      JSON_OPTION,
    ],
    run: (self) => async (args, host, print) => (await import('./install.ts')).install(self, args, host, print),
  }),
  command(program, 'doctor', '[--bin FOLDER] [--cri SOCKET]', {
    about: 'examine the node for what makes plugins fail or run slowly, and say what to do',
    options: [BIN_OPTION, CRI_OPTION, ...PLACE_OPTIONS, JSON_OPTION],
    run: () => async (args, host, print) => (await import('./doctor.ts')).doctor(args, host, print),
  }),
  command(program, 'gc', '[--cri SOCKET] [--wait SECONDS] [--dry-run]', {
    about: 'collect what belongs to attachments of containers that are gone',
    options: [
      CRI_OPTION,
      WAIT_OPTION,
      ['--dry-run', 'say what would be collected'],
      ['--bin FOLDERS', `plugins, also of others, separated by colons: ${BIN_FOLDER}`],
      ...PLACE_OPTIONS,
      JSON_OPTION,
    ],
    run: (self) => async (args, host, print) => (await import('./gc.ts')).gc(self, args, host, print),
  }),
  command(program, 'list', '', {
    about: 'list the attachments on this node, as our records have them',
    options: [...PLACE_OPTIONS, JSON_OPTION],
    run: () => async (args, host, print) => (await import('./list.ts')).list(args, host, print),
  }),
  command(program, 'uninstall', '[--bin FOLDER] [--force]', {
    about: 'take out what install has put in, and put back what it has replaced',
    options: [BIN_OPTION, ['--force', 'also while there are attachments'], ...PLACE_OPTIONS, JSON_OPTION],
    run: (self) => async (args, host, print) => (await import('./uninstall.ts')).uninstall(self, args, host, print),
  }),
];

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
