/** Who may import whom: see "The house" in ARCHITECTURE.md. Prints each import that breaks a rule; exit code 1 if any. */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

const ROOT = join(import.meta.dirname, '..');

interface Rule {
  readonly why: string;
  readonly broken: (from: string, to: string) => boolean;
}

const inside = (path: string, folder: string): boolean => path.startsWith(`${folder}/`);
const pluginOf = (path: string): string | undefined => /^plugins\/([^/]+)\//.exec(path)?.[1];

/** Within lib: a folder may import those after it, never those before it. */
const LAYERS = ['lib/cli', 'lib/link', 'lib/netns', 'lib/netlink', 'lib/net'];
/** Leaves of lib/cni: the vocabulary that every layer speaks. */
const VOCABULARY = [
  'lib/cni/errors.ts',
  'lib/cni/result.ts',
  'lib/cni/json.ts',
  'lib/cni/versions.ts',
  'lib/cni/plugin.ts',
];

const RULES: readonly Rule[] = [
  {
    why: 'lib knows no plugin',
    broken: (from, to) => inside(from, 'lib') && inside(to, 'plugins'),
  },
  {
    why: 'a plugin meets another by its type, through lib/cni/delegate.ts',
    broken: (from, to) => pluginOf(from) !== undefined && pluginOf(to) !== undefined && pluginOf(from) !== pluginOf(to),
  },
  {
    why: 'conformance tests what is built, not the sources',
    broken: (from, to) =>
      inside(from, 'conformance') && (inside(to, 'plugins') || inside(to, 'lib') || inside(to, 'bundle')),
  },
  {
    why: 'only lib/netlink imports the package netlink, and of it only dist/structs and dist/constants',
    broken: (from, to) =>
      /^netlink(\/|$)/.test(to) &&
      !(inside(from, 'lib/netlink') && /^netlink\/dist\/(structs|constants)\.js$/.test(to)),
  },
  {
    why: 'only lib/net imports ip-address',
    broken: (from, to) => /^ip-address(\/|$)/.test(to) && !inside(from, 'lib/net'),
  },
  {
    why: 'zod is imported as zod/mini: the whole package costs 20 ms of every start',
    broken: (_, to) => /^zod(\/|$)/.test(to) && to !== 'zod/mini',
  },
  {
    why: `in lib the way is ${LAYERS.join(' → ')}`,
    broken: (from, to) => {
      const [source, target] = [from, to].map((path) => LAYERS.findIndex((layer) => inside(path, layer)));
      return source !== undefined && target !== undefined && target >= 0 && source > target && !isTypeOnlyNative(to);
    },
  },
  {
    why: 'layers below lib/cni know only its vocabulary',
    broken: (from, to) =>
      ['lib/link', 'lib/netns', 'lib/netlink', 'lib/net'].some((layer) => inside(from, layer)) &&
      inside(to, 'lib/cni') &&
      !VOCABULARY.includes(to),
  },
];

/** The shape of the native part is what lib/netlink is built on; its loader is not. */
const isTypeOnlyNative = (to: string): boolean => to === 'lib/netns/native.ts';

/** Tests on the real kernel stand above what they test; one bench measures the sources, since no program can. */
const EXEMPT = (from: string): boolean =>
  from.endsWith('.netns.test.ts') || from === 'conformance/bench/kernel-work.ts';

const broken = globSync('{lib,plugins,bundle,conformance,scripts}/**/*.ts', { cwd: ROOT })
  .filter((from) => !EXEMPT(from))
  .flatMap((from) => {
    const source = readFileSync(join(ROOT, from), 'utf8');
    const targets = [...source.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1] ?? '');
    return targets
      .map((target) => (target.startsWith('.') ? normalize(join(dirname(from), target)) : target))
      .flatMap((to) => RULES.filter((rule) => rule.broken(from, to)).map(({ why }) => `${from} imports ${to}: ${why}`));
  });

for (const line of broken) {
  console.error(line);
}
process.exitCode = broken.length === 0 ? 0 : 1;
