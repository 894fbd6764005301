/**
 * Programs of Kubernetes, built from their Go modules. `node conformance/cluster/servers.ts` builds an API server and its
 * etcd, with `--all` also what schedules, controls and runs pods, and prints their folder; so does `./scripts/test`.
 */
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** of kube-apiserver; etcd is the one that it requires */
const KUBERNETES = '1.36.3';

const MODULE = 'k8s.io/kubernetes';
const VERSION_PACKAGE = 'k8s.io/component-base/version';

/** Where the servers are: BRAID_CLUSTER, or a folder that git ignores. */
export const SERVERS = join(
  process.env['BRAID_CLUSTER'] ?? join(import.meta.dirname, '../../.cache/cluster'),
  `kubernetes-${KUBERNETES}`,
);

const [, MINOR = ''] = KUBERNETES.split('.');

interface Server {
  readonly name: string;
  readonly path: string;
  readonly ldflags: readonly string[];
}

const ofKubernetes = (name: string): Server => ({
  name,
  path: `${MODULE}/cmd/${name}`,
  // Without a version, they do not know which API versions to serve and to ask for.
  ldflags: [`gitVersion=v${KUBERNETES}`, 'gitMajor=1', `gitMinor=${MINOR}`].map(
    (text) => `-X ${VERSION_PACKAGE}.${text}`,
  ),
});

const API_SERVER: readonly Server[] = [
  { name: 'etcd', path: 'go.etcd.io/etcd/server/v3', ldflags: [] },
  ofKubernetes('kube-apiserver'),
];

const CLUSTER: readonly Server[] = [
  ...API_SERVER,
  ...['kube-controller-manager', 'kube-scheduler', 'kubelet', 'kubectl'].map(ofKubernetes),
];

/**
 * Builds etcd and kube-apiserver if they are missing: minutes the first time, and 2 GB of Go's build cache.
 *
 * @returns the folder
 * @throws Error naming what to install when there is no Go
 */
export const installServers = (): Promise<string> => install(API_SERVER);

/** The same with kubelet and all else that a whole cluster has: twice the time. */
export const installCluster = (): Promise<string> => install(CLUSTER);

async function install(wanted: readonly Server[]): Promise<string> {
  const missing = wanted.filter(({ name }) => !existsSync(join(SERVERS, name)));
  if (missing.length === 0) {
    return SERVERS;
  }
  const folder = mkdtempSync(join(tmpdir(), 'braid-cluster-build-'));
  try {
    await makeModule(folder);
    mkdirSync(SERVERS, { recursive: true });
    for (const server of missing) {
      await build(folder, server);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  return SERVERS;
}

/**
 * A module that requires Kubernetes, which takes parts of itself from folders beside it: whoever requires it must
 * replace them by the modules that they are published as.
 */
async function makeModule(folder: string): Promise<void> {
  await go(folder, 'mod', 'init', 'cluster');
  const description = await go(folder, 'mod', 'download', '-json', `${MODULE}@v${KUBERNETES}`);
  const { GoMod } = JSON.parse(description) as { GoMod: string };
  const parts = [...readFileSync(GoMod, 'utf8').matchAll(/^\s*(\S+) => \.\/staging\//gm)].map(([, name = '']) => name);
  const published = `v0.${KUBERNETES.slice(KUBERNETES.indexOf('.') + 1)}`;
  await go(
    folder,
    'mod',
    'edit',
    `-require=${MODULE}@v${KUBERNETES}`,
    ...parts.map((name) => `-replace=${name}=${name}@${published}`),
  );
}

async function build(folder: string, { name, path, ldflags }: Server): Promise<void> {
  const built = join(folder, name);
  await go(folder, 'build', '-mod=mod', '-trimpath', '-ldflags', ['-s', '-w', ...ldflags].join(' '), '-o', built, path);
  const incoming = join(SERVERS, `.${name}-${process.pid}`);
  execFileSync('cp', [built, incoming]); // the temporary folder may be on another file system
  renameSync(incoming, join(SERVERS, name));
}

async function go(cwd: string, ...args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)('go', args, {
      cwd,
      env: { ...process.env, CGO_ENABLED: '0' },
      maxBuffer: 1 << 26,
    });
    return stdout;
  } catch (error) {
    const { code, stderr } = error as { readonly code?: unknown; readonly stderr?: string };
    throw code === 'ENOENT'
      ? new Error(
          `the servers are not in ${SERVERS}, and there is no "go" to build them: install Go 1.26 or newer and run "node conformance/cluster/servers.ts"`,
        )
      : new Error(`go ${args.join(' ')}: ${stderr}`);
  }
}

if (import.meta.main) {
  console.log(await (process.argv.includes('--all') ? installCluster() : installServers()));
}
