import type { Plugin } from '../../lib/cni/plugin.ts';
import { readCall } from '../../lib/cni/read-call.ts';
import { Stdin } from '../../lib/cni/stdin.ts';
import { VERSIONS, type Version } from '../../lib/cni/versions.ts';
import { markdownTable } from './markdown.ts';

const VERBS = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS'] as const;
type Verb = (typeof VERBS)[number];

const METHODS = { ADD: 'add', DEL: 'del', CHECK: 'check', GC: 'gc', STATUS: 'status' } as const;

/** Which plugin supports which verb in which spec versions. */
export function supportMatrix(plugins: readonly Plugin[]): string {
  const rows = plugins.map((plugin) => [linkTo(plugin), ...VERBS.map((verb) => supportOf(plugin, verb))]);
  return markdownTable(['Plugin', ...VERBS], rows);
}

const linkTo = ({ name }: Plugin): string => `[\`${name}\`](plugins/${name}/README.md)`;

function supportOf(plugin: Plugin, verb: Verb): string {
  const taken = typeof plugin[METHODS[verb]] === 'function' ? VERSIONS.filter((version) => isTaken(verb, version)) : [];
  const [first, last] = [taken[0], taken.at(-1)];
  return first === undefined || last === undefined ? 'no' : first === last ? first : `${first} – ${last}`;
}

function isTaken(verb: Verb, version: Version): boolean {
  try {
    readCall({ CNI_COMMAND: verb }, Stdin.saying({ name: 'any', cniVersion: version }));
    return true;
  } catch {
    return false;
  }
}
