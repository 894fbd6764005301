import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { loaderIn } from '../cni/delegate.ts';
import type { Finding } from '../cni/findings.ts';
import { isObject, type JsonObject, lookUp, textIn } from '../cni/json.ts';
import type { Scope } from '../cni/scope.ts';
import { readMark } from '../sys/build-id.ts';
import { foldersOf, type Runtime } from './cri.ts';
import { missingLibraries } from './libraries.ts';
import type { Node } from './node.ts';
import { isLauncher, isOurs } from './source.ts';

export interface RuntimePlaces {
  readonly bin: string;
  readonly confDir: string;
  readonly runtimes: readonly Runtime[];
  /** there is one, even if not running */
  readonly hasRuntime: boolean;
}

/** Configuration files of runtimes. */
const RUNTIME_CONFS = [
  '/etc/containerd/config.toml',
  '/var/lib/rancher/k3s/agent/etc/containerd/config.toml',
  '/etc/crio/crio.conf',
  '/etc/crio/crio.conf.d',
] as const;

/** Whether there is a runtime's configuration. Docker's containerd disables its CRI plugin, and does not count. */
export const isRuntimeConfigured = (cri: string, paths: readonly string[] = RUNTIME_CONFS): boolean =>
  cri !== 'none' &&
  paths.some((path) => existsSync(path) && !/^\s*disabled_plugins\s*=\s*\[[^\]]*cri/m.test(contentOf(path)));

function contentOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // a folder of drop-ins
  }
}

const fault = (text: string, fix: string): Finding => ({ level: 'fault', text, fix });
const warning = (text: string, fix: string): Finding => ({ level: 'warning', text, fix });

/** Checks what lies between a runtime and the plugins: folders, files, versions. */
export async function examineRuntime(scope: Scope, node: Node, places: RuntimePlaces): Promise<readonly Finding[]> {
  const findings = [
    ...examineFiles(node, places),
    ...examineBin(scope, node, places),
    ...(await examineLibraries(scope, places)),
    ...places.runtimes.flatMap((runtime) => examineVersion(node, runtime)),
  ];
  for (const runtime of places.runtimes) {
    findings.push(...(await examineFolders(runtime, places)));
  }
  return findings;
}

function examineFiles({ confFiles }: Node, { confDir, runtimes }: RuntimePlaces): readonly Finding[] {
  const broken = confFiles
    .filter(({ document }) => document === undefined)
    .map(({ path, fault: why }) => fault(`cannot read configuration "${path}": ${why}`, 'fix it or move it away'));
  return confFiles.length === 0 && runtimes.length > 0
    ? [fault(`no configuration in "${confDir}": no pod gets a network`, 'write one: plugins have examples')]
    : broken;
}

function examineBin(scope: Scope, { confs }: Node, { bin, hasRuntime }: RuntimePlaces): readonly Finding[] {
  const findings: Finding[] = [];
  const types = new Set(confs.flatMap(typesIn));
  for (const type of [...types].filter((name) => !existsSync(join(bin, name)))) {
    const fix =
      loaderIn(scope.suite.registry, type) === undefined
        ? `install it in "${bin}"`
        : `run "braid install --bin ${bin}"`;
    findings.push(fault(`plugin "${type}" is configured, but missing in "${bin}": pods fail`, fix));
  }
  if (hasRuntime && !existsSync(join(bin, 'loopback'))) {
    findings.push(
      fault(
        `plugin "loopback" is missing in "${bin}": containerd starts no pod without it, although it reports ready`,
        'install the CNI reference plugins',
      ),
    );
  }
  const programs = ownFiles(scope, bin).filter((path) => !isLauncher(path));
  const builds = new Set(programs.map((path) => readMark(path)?.toString('latin1')));
  if (builds.size > 1) {
    findings.push(
      warning(
        `plugins in "${bin}" come from ${builds.size} builds: delegates from another build are executed, which is slow`,
        `run "braid install --bin ${bin}"`,
      ),
    );
  }
  return findings;
}

/** Plugins are mostly hard links to one file. */
async function examineLibraries(scope: Scope, { bin }: RuntimePlaces): Promise<readonly Finding[]> {
  const programs = ownFiles(scope, bin).filter((path) => !isLauncher(path)); // these run anywhere
  const files = new Map(programs.map((path) => [identityOf(path), path]));
  const findings: Finding[] = [];
  for (const path of files.values()) {
    for (const { what, fix } of await missingLibraries(scope, path)) {
      findings.push(fault(`"${path}" does not run on this node: ${what}`, `${fix}, or install with --form script`));
    }
  }
  return findings;
}

const ownFiles = (scope: Scope, bin: string): readonly string[] =>
  namesIn(bin)
    .filter((name) => loaderIn(scope.suite.registry, name) !== undefined)
    .map((name) => join(bin, name))
    .filter(isOurs);

function identityOf(path: string): string {
  const { dev, ino } = statSync(path);
  return `${dev}:${ino}`;
}

/** The plugin and its IPAM plugin. */
function typesIn(conf: JsonObject): readonly string[] {
  const ipam = lookUp(conf, 'ipam');
  return [textIn(conf, 'type'), isObject(ipam) ? textIn(ipam, 'type') : ''].filter((type) => type !== '');
}

/** containerd supports 1.1.0 since version 2. */
function examineVersion({ confFiles }: Node, { name, version }: Runtime): readonly Finding[] {
  const isOld = name === 'containerd' && /^v?1\./.test(version);
  return confFiles
    .filter(({ document }) => isOld && document !== undefined && textIn(document, 'cniVersion') === '1.1.0')
    .map(({ path }) =>
      fault(
        `"${path}" has cniVersion 1.1.0, which containerd ${version} does not support: it kills every pod`,
        'use 1.0.0, or upgrade to containerd 2',
      ),
    );
}

async function examineFolders(runtime: Runtime, { bin, confDir }: RuntimePlaces): Promise<readonly Finding[]> {
  const { bins, confDirs } = await foldersOf(runtime);
  return [
    ...(bins.length === 0 || bins.includes(bin)
      ? []
      : [
          fault(
            `${runtime.name} runs plugins from "${bins.join('", "')}", not from "${bin}"`,
            `use --bin ${bins[0]} with "braid install" and "braid doctor"`,
          ),
        ]),
    ...(confDirs.length === 0 || confDirs.includes(confDir)
      ? []
      : [
          warning(
            `${runtime.name} reads configurations from "${confDirs.join('", "')}", not from "${confDir}"`,
            `pass --conf-dir ${confDirs[0]} to braid`,
          ),
        ]),
  ];
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).filter((name) => !name.startsWith('.'));
  } catch {
    return [];
  }
}
