import { join } from 'node:path';
import type { Scope } from '../../cni/scope.ts';
import { installPrograms, OPTIONS, readWanted } from '../install.ts';
import { readOptions, WrongUsage } from '../options.ts';
import type { Program } from '../program.ts';
import { keepNode } from './command.ts';
import { MULTUS_OPTIONS, readMultusInstall, withFlagValues } from './options.ts';
import { refuseUnstartable } from './start-check.ts';

type Print = (line: string) => void;

/** `braid install --multus`: programs first, and when they start on the node, the files that name them. */
export async function installMultus(
  program: Program,
  args: readonly string[],
  scope: Scope,
  print: Print,
): Promise<number> {
  const { values } = readOptions(withFlagValues(args), { ...OPTIONS, ...MULTUS_OPTIONS });
  const install = readMultusInstall(values);
  const { bin, hostRoot } = install;
  const prove = (path: string): Promise<void> => refuseUnstartable(scope, hostRoot, path, program.env);
  const wanted = readWanted(program, { ...values, bin }, Object.keys(scope.suite.registry));
  if (!wanted.names.includes('multus')) {
    throw new WrongUsage('cannot install multus: --plugins leaves it out');
  }
  const tell: Print = wanted.asJson ? () => undefined : print;
  // From now on: the first process of a container ignores what it does not listen to, and is killed much later.
  const stop = install.isWatching ? program.stopSignal() : undefined;
  if (install.hasPrograms) {
    await installPrograms(program, { ...wanted, prove, hostRoot }, scope, tell);
  } else {
    await prove(join(bin, 'multus'));
  }
  await keepNode(program, install, { scope, tell, stop });
  return 0;
}
