import { type ParseArgsConfig, parseArgs } from 'node:util';
import { messageOf } from '../cni/errors.ts';
import { suggestion } from './nearest.ts';

/** Wrong usage of a command: exit code 2, and the usage line. */
export class WrongUsage extends Error {
  override readonly name = 'WrongUsage';
}

type Spec = NonNullable<ParseArgsConfig['options']>;

/**
 * Parses the options of a command.
 *
 * @param places maximum number of positional arguments
 * @throws WrongUsage
 */
export function readOptions<const S extends Spec>(args: readonly string[], options: S, places = 0) {
  const parsed = parseOrExplain(args, options);
  const extra = parsed.positionals[places];
  if (extra !== undefined) {
    throw new WrongUsage(`unexpected argument "${extra}"`);
  }
  return parsed;
}

function parseOrExplain<const S extends Spec>(args: readonly string[], options: S) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new WrongUsage(wrongOption(error, Object.keys(options)), { cause: error });
  }
}

/** Node's own messages digress into positional arguments. */
function wrongOption(error: unknown, known: readonly string[]): string {
  const { code } = error as NodeJS.ErrnoException;
  const option = /'(--?[^\s'=]*)/.exec(messageOf(error))?.[1] ?? '';
  if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
    return unknownOption(option, known);
  }
  if (code === 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE') {
    const takesNone = messageOf(error).includes('does not take');
    return `option "${option}" ${takesNone ? 'takes no value' : 'needs a value'}`;
  }
  return messageOf(error);
}

const unknownOption = (option: string, known: readonly string[]): string => {
  const names = known.map((name) => `--${name}`);
  return `unknown option "${option}"${suggestion(option, names)}`;
};
