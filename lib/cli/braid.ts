import { messageOf } from '../cni/errors.ts';
import type { Command, Host } from '../cni/plugin.ts';

const WRONG_USAGE = 2;
const FAILED = 1;
const DONE = 0;

/**
 * The command line for people. Commands come from the plugins.
 *
 * @returns the exit code: 0 done, 1 failed, 2 wrong usage
 */
export async function runCommandLine(
  args: readonly string[],
  host: Host,
  version: string,
  print: (line: string) => void,
): Promise<number> {
  const plugins = await Promise.all(Object.values(host.registry).map((load) => load()));
  const commands = plugins.flatMap((plugin) => plugin.commands ?? []);
  const [first] = args;
  if (first === '--version') {
    print(`braid ${version}`);
    return DONE;
  }
  const command = commands.find(({ name }) => `${args.join(' ')} `.startsWith(`${name} `));
  if (command === undefined) {
    printHelp(commands, Object.keys(host.registry), version, print);
    return first === undefined || first === '--help' || first === '-h' ? DONE : WRONG_USAGE;
  }
  const rest = args.slice(command.name.split(' ').length);
  if (rest.includes('--help') || rest.includes('-h')) {
    print(`usage: ${command.usage}`);
    print(command.about);
    return DONE;
  }
  try {
    return await command.run(rest, host, print);
  } catch (error) {
    host.log(`braid: ${messageOf(error)}`);
    return FAILED;
  }
}

function printHelp(
  commands: readonly Command[],
  plugins: readonly string[],
  version: string,
  print: (line: string) => void,
): void {
  print(`braid ${version}: many networks for Kubernetes pods, fast`);
  print('');
  for (const { usage, about } of commands) {
    print(`  ${usage}`);
    print(`      ${about}`);
  }
  print('');
  print(`The same program is these CNI plugins, by name: ${plugins.join(', ')}.`);
}
