import { messageOf } from '../cni/errors.ts';
import type { Command, Host } from '../cni/plugin.ts';
import { commandsOf } from './commands.ts';
import { WrongUsage } from './options.ts';
import type { Program } from './program.ts';

const WRONG_USAGE = 2;
const FAILED = 1;
const DONE = 0;

type Print = (line: string) => void;

/**
 * The command line for people. Commands about one plugin come from that plugin.
 *
 * @returns the exit code: 0 done, 1 failed, 2 wrong usage
 */
export async function runCommandLine(
  args: readonly string[],
  host: Host,
  program: Program,
  print: Print,
): Promise<number> {
  const plugins = await Promise.all(Object.values(host.registry).map((load) => load()));
  const commands = commandsOf(program, plugins);
  const [first] = args;
  if (first === '--version') {
    print(`braid ${program.version}`);
    return DONE;
  }
  const command = commands.find(({ name }) => `${args.join(' ')} `.startsWith(`${name} `));
  if (command === undefined) {
    const isAsked = first === undefined || first === '--help' || first === '-h';
    if (!isAsked) {
      host.log(`braid: there is no command "${args.filter((word) => !word.startsWith('-')).join(' ')}"`);
    }
    printHelp(commands, Object.keys(host.registry), program.version, print);
    return isAsked ? DONE : WRONG_USAGE;
  }
  const rest = args.slice(command.name.split(' ').length);
  if (rest.includes('--help') || rest.includes('-h')) {
    printUsage(command, print);
    return DONE;
  }
  return run(command, rest, host, print);
}

async function run(command: Command, args: readonly string[], host: Host, print: Print): Promise<number> {
  try {
    return await command.run(args, host, print);
  } catch (error) {
    host.log(`braid: ${messageOf(error)}`);
    if (error instanceof WrongUsage) {
      host.log(`usage: ${command.usage}`);
      return WRONG_USAGE;
    }
    return FAILED;
  }
}

function printHelp(commands: readonly Command[], plugins: readonly string[], version: string, print: Print): void {
  print(`braid ${version}: many networks for Kubernetes pods, fast`);
  print('');
  for (const { usage, about } of commands) {
    print(`  ${usage}`);
    print(`      ${about}`);
  }
  print('');
  print('Options of a command: braid COMMAND --help');
  print(`The same program is these CNI plugins, by name: ${plugins.join(', ')}.`);
}

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
