import type { Command } from '../cni/command.ts';
import { messageOf } from '../cni/errors.ts';
import { type Scope, scopeWith } from '../cni/scope.ts';
import { commandsOf } from './commands.ts';
import { unknownCommand } from './help.ts';
import { WrongUsage } from './options.ts';
import type { Program } from './program.ts';

const WRONG_USAGE = 2;
const FAILED = 1;
const PREFIX = 'braid: ';
/** A line for programs, perhaps with its priority before it. */
const IS_DOCUMENT = /^(<\d>)?\{/;
const USAGE = 'braid COMMAND [OPTION]...; "braid help" lists the commands';

type Print = (line: string) => void;

/**
 * The command line for people. Commands about one plugin come from that plugin. Errors go to stderr, prefixed with the
 * program's name; with `--json` stdout also gets an object with the message.
 *
 * @returns the exit code: 0 done, 1 failed, 2 wrong usage
 */
export async function runCommandLine(
  args: readonly string[],
  scope: Scope,
  program: Program,
  print: Print,
): Promise<number> {
  const own = scopeWith(scope, ({ log }) => ({
    log: (line) => log(line.startsWith(PREFIX) || IS_DOCUMENT.test(line) ? line : `${PREFIX}${line}`),
  }));
  let usage = USAGE;
  try {
    const plugins = await Promise.all(Object.values(scope.suite.registry).map((load) => load()));
    const { command, rest } = chosen(aliased(args), commandsOf(program, plugins));
    usage = command.usage;
    return await command.run(rest, own, print, program.env);
  } catch (error) {
    const isWrongUsage = error instanceof WrongUsage;
    own.log(messageOf(error));
    if (isWrongUsage) {
      scope.log(`usage: ${usage}`);
    }
    if (args.includes('--json')) {
      print(JSON.stringify({ error: messageOf(error), ...(isWrongUsage ? { usage } : {}) }));
    }
    return isWrongUsage ? WRONG_USAGE : FAILED;
  }
}

/** Maps conventional options to commands. */
function aliased(args: readonly string[]): readonly string[] {
  const [first, ...rest] = args;
  if (first === undefined || first === '--help' || first === '-h') {
    return ['help', ...rest];
  }
  return first === '--version' ? ['version', ...rest] : args;
}

/**
 * The command and its arguments. `--help` after a command becomes `help COMMAND`.
 *
 * @throws WrongUsage
 */
function chosen(args: readonly string[], commands: readonly Command[]): Chosen {
  const command = commands.find(({ name }) => `${args.join(' ')} `.startsWith(`${name} `));
  const words = command?.name.split(' ') ?? wordsBeforeOptions(args);
  if (args.includes('--help') || args.includes('-h')) {
    return { command: commands.find(({ name }) => name === 'help') as Command, rest: words };
  }
  if (command === undefined) {
    throw incomplete(commands, words, args);
  }
  return { command, rest: args.slice(words.length) };
}

interface Chosen {
  readonly command: Command;
  readonly rest: readonly string[];
}

function wordsBeforeOptions(args: readonly string[]): readonly string[] {
  const end = args.findIndex((word) => word.startsWith('-'));
  return end < 0 ? args : args.slice(0, end);
}

function incomplete(commands: readonly Command[], words: readonly string[], args: readonly string[]): WrongUsage {
  const name = words.join(' ');
  if (name === '') {
    return new WrongUsage(`expected a command before "${args[0]}"`);
  }
  const group = commands.filter((command) => command.name.startsWith(`${name} `));
  return group.length === 0
    ? unknownCommand(commands, name)
    : new WrongUsage(`"${name}" is a group of commands: ${group.map((command) => `"${command.name}"`).join(', ')}`);
}
