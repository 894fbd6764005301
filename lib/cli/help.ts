import type { Command } from '../cni/command.ts';
import { suggestion } from './nearest.ts';
import { readOptions, WrongUsage } from './options.ts';
import type { Program } from './program.ts';

type Print = (line: string) => void;

/** What help describes. */
export interface HelpTopics {
  readonly commands: readonly Command[];
  /** by name */
  readonly plugins: readonly string[];
  readonly version: string;
}

/** `braid help [COMMAND]`. The name of a group, such as `ipam`, lists its commands. */
export async function help(
  { commands, plugins, version }: HelpTopics,
  args: readonly string[],
  print: Print,
): Promise<number> {
  const { positionals: words } = readOptions(args, {}, Number.POSITIVE_INFINITY);
  const name = words.join(' ');
  const command = commands.find((one) => one.name === name);
  if (name === '') {
    print(`braid ${version}: many networks for Kubernetes pods, fast`);
    print('');
    printGroup(commands, print);
    print('');
    print('"braid help COMMAND" explains a command and its options.');
    print(`Run under the name of a CNI plugin, this program is that plugin: ${plugins.join(', ')}.`);
  } else if (command !== undefined) {
    printUsage(command, print);
  } else {
    printGroup(groupOf(commands, name), print);
  }
  return 0;
}

/** `braid version` */
export async function version(
  { version: text, form }: Program,
  args: readonly string[],
  print: Print,
): Promise<number> {
  const { values } = readOptions(args, { json: { type: 'boolean', default: false } });
  print(values.json ? JSON.stringify({ version: text, form }) : `braid ${text}`);
  return 0;
}

/** @throws WrongUsage when there are none */
function groupOf(commands: readonly Command[], name: string): readonly Command[] {
  const group = commands.filter((command) => command.name.startsWith(`${name} `));
  if (group.length === 0) {
    throw unknownCommand(commands, name);
  }
  return group;
}

/** The error, with the closest command. */
export function unknownCommand(commands: readonly Command[], name: string): WrongUsage {
  const names = commands.map((command) => command.name);
  return new WrongUsage(`unknown command "${name}"${suggestion(name, names)}`);
}

/** Commands, one line each. */
function printGroup(commands: readonly Command[], print: Print): void {
  const width = Math.max(...commands.map(({ name }) => name.length));
  for (const { name, about } of commands) {
    print(`  braid ${name.padEnd(width)}  ${about}`);
  }
}

/** Usage line, purpose, options. */
function printUsage({ usage, about, options = [] }: Command, print: Print): void {
  print(`usage: ${usage}`);
  print(about);
  const width = Math.max(0, ...options.map(([option]) => option.length));
  if (options.length > 0) {
    print('');
  }
  for (const [option, what] of options) {
    print(`  ${option.padEnd(width)}  ${what}`);
  }
}
