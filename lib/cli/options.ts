import { type ParseArgsConfig, parseArgs } from 'node:util';
import { messageOf } from '../cni/errors.ts';

/** The command was called wrongly: exit code 2, and how to call it. */
export class WrongUsage extends Error {
  override readonly name = 'WrongUsage';
}

type Spec = NonNullable<ParseArgsConfig['options']>;

/**
 * Reads the options of a command.
 *
 * @param places how many words besides options it takes at most
 * @throws WrongUsage
 */
export function readOptions<const S extends Spec>(args: readonly string[], options: S, places = 0) {
  const parsed = parsedOf(args, options);
  const extra = parsed.positionals[places];
  if (extra !== undefined) {
    throw new WrongUsage(`cannot use "${extra}": ${places === 0 ? 'the command takes options only' : 'one is enough'}`);
  }
  return parsed;
}

function parsedOf<const S extends Spec>(args: readonly string[], options: S) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new WrongUsage(messageOf(error));
  }
}
