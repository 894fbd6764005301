/** Who may import whom: see "The house" in ARCHITECTURE.md. Prints each import that breaks a rule; exit code 1 if any. */
import { globSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

const ROOT = join(import.meta.dirname, '..');

interface Import {
  readonly from: string;
  /** a path from the root, or the name of a package */
  readonly to: string;
  readonly isType: boolean;
}

interface Rule {
  readonly why: string;
  readonly broken: (one: Import) => boolean;
}

const inside = (path: string, folder: string): boolean => path.startsWith(`${folder}/`);
const pluginOf = (path: string): string | undefined => /^plugins\/([^/]+)\//.exec(path)?.[1];
const isTest = (path: string): boolean => path.endsWith('.test.ts') || path.includes('/testing/');

/** A folder may import only folders in later rows. */
const HOUSE = [['scripts'], ['conformance', 'bundle'], ['plugins'], ['lib']];
const LIB = [
  ['cli'],
  ['agent', 'devices'],
  ['cni'],
  ['controller'],
  ['link', 'rdma', 'kube', 'grpc', 'observe'],
  ['node'],
  ['netns'],
  ['netlink'],
  ['net'],
  ['sys'],
].map((line) => line.map((name) => `lib/${name}`));

/** Modules that everyone may import. */
const WORDS = ['lib/cni/errors.ts', 'lib/netlink/errno.ts'];
/** Modules of which everyone may import types. */
const TYPES = ['lib/cni/result.ts', 'lib/netns/native.ts'];

const isVocabulary = ({ to, isType }: Import): boolean => WORDS.includes(to) || (isType && TYPES.includes(to));

/** Whether an import leads to a folder in the same row or above. */
function leadsUp(lines: readonly (readonly string[])[], { from, to }: Import): boolean {
  const [source, target] = [from, to].map((path) => {
    const at = lines.findIndex((line) => line.some((folder) => inside(path, folder)));
    return { at, folder: lines[at]?.find((folder) => inside(path, folder)) };
  });
  return source?.folder !== undefined && target?.folder !== undefined && source.folder !== target.folder
    ? target.at <= source.at
    : false;
}

const drawn = (lines: readonly (readonly string[])[]): string =>
  lines.map((line) => line.map((folder) => folder.replace(/^lib\//, '')).join(', ')).join(' → ');

const RULES: readonly Rule[] = [
  {
    why: `imports go ${drawn(HOUSE)}`,
    broken: (one) => leadsUp(HOUSE, one),
  },
  {
    why: `in lib, imports go ${drawn(LIB)}`,
    broken: (one) => leadsUp(LIB, one) && !isVocabulary(one),
  },
  {
    why: 'plugins reach each other only by type, through lib/cni/delegate.ts',
    broken: ({ from, to }) =>
      pluginOf(from) !== undefined && pluginOf(to) !== undefined && pluginOf(from) !== pluginOf(to),
  },
  {
    why: 'conformance tests the built programs, not the sources',
    broken: ({ from, to }) =>
      inside(from, 'conformance') && ['plugins', 'lib', 'bundle'].some((top) => inside(to, top)),
  },
  {
    why: 'the rooms of plugins are discovered (conformance/lab/rooms.ts), not imported',
    broken: ({ from, to }) => inside(to, 'conformance/plugins') && !inside(from, 'conformance/plugins'),
  },
  {
    why: 'conformance/lab is shared by all rooms, and imports only the location of the Go programs',
    broken: ({ from, to }) =>
      inside(from, 'conformance/lab') &&
      inside(to, 'conformance') &&
      !inside(to, 'conformance/lab') &&
      to !== 'conformance/peers/peers.ts',
  },
  {
    why: 'folders named "testing" are for tests only',
    broken: ({ from, to }) => to.includes('/testing/') && !isTest(from),
  },
  {
    why: 'only lib/netlink imports the package netlink, and only its dist/structs and dist/constants',
    broken: ({ from, to }) =>
      /^netlink(\/|$)/.test(to) &&
      !(inside(from, 'lib/netlink') && /^netlink\/dist\/(structs|constants)\.js$/.test(to)),
  },
  {
    why: 'only lib/net imports ip-address',
    broken: ({ from, to }) => /^ip-address(\/|$)/.test(to) && !inside(from, 'lib/net'),
  },
  {
    why: 'zod is imported as zod/mini: the whole package costs 20 ms at every start',
    broken: ({ to }) => /^zod(\/|$)/.test(to) && to !== 'zod/mini',
  },
];

/** Tests on the real kernel or a real cluster may import what they test; some benches measure the sources directly. */
const isExempt = (from: string): boolean =>
  /\.(netns|cluster)\.test\.ts$/.test(from) ||
  /^conformance\/bench\/(kernel-work|warm|warm-server|warm-cluster|warm-storm)\.ts$/.test(from);

function importsOf(from: string): readonly Import[] {
  const source = readFileSync(join(ROOT, from), 'utf8');
  const found = source.matchAll(/(?:\b(?:import|export)\s+(type\s)?[^'"`;]*?\bfrom\s*|\bimport\s*\(?\s*)'([^']+)'/g);
  return [...found].map(([, type, target = '']) => ({
    from,
    to: target.startsWith('.') ? normalize(join(dirname(from), target)) : target,
    isType: type !== undefined,
  }));
}

/** Folders of lib missing in the order; only shared test code needs no place in it. */
const placeless = readdirSync(join(ROOT, 'lib'))
  .filter((name) => name !== 'testing' && !LIB.flat().includes(`lib/${name}`))
  .map((name) => `lib/${name} is missing in the order of lib: add it in scripts/check-imports.ts`);

const broken = globSync('{lib,plugins,bundle,conformance,scripts}/**/*.ts', { cwd: ROOT })
  .filter((from) => !isExempt(from))
  .flatMap(importsOf)
  .flatMap((one) => RULES.filter((rule) => rule.broken(one)).map(({ why }) => `${one.from} imports ${one.to}: ${why}`));

for (const line of [...placeless, ...broken]) {
  console.error(line);
}
process.exitCode = placeless.length + broken.length === 0 ? 0 : 1;
