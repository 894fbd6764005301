/**
 * The Go programs that ours are compared with, and cnitool. `node conformance/peers/peers.ts` installs them and prints their
 * folder; so does the first test that needs them.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');

interface Peer {
  readonly name: string;
  /** with its version */
  readonly module: string;
  /** of the command in the module */
  readonly path: string;
}

const PLUGINS = 'github.com/containernetworking/plugins@v1.9.1';

export const CNITOOL: Peer = {
  name: 'cnitool',
  module: 'github.com/containernetworking/cni@v1.3.0',
  path: 'cnitool',
};

/** What plugins of ours run, or are run by. */
const COMPANIONS: readonly Peer[] = [
  CNITOOL,
  { name: 'loopback', module: PLUGINS, path: 'plugins/main/loopback' },
  { name: 'static', module: PLUGINS, path: 'plugins/ipam/static' },
];

/** The programs that plugins of ours stand in for: each plugin's room names its own. */
function counterparts(): readonly Peer[] {
  return globSync(join(ROOT, 'conformance/plugins/*/peer.json')).map((file) => ({
    name: basename(dirname(file)),
    ...(JSON.parse(readFileSync(file, 'utf8')) as Omit<Peer, 'name'>),
  }));
}

/** For tests and benches with a real API server, which most runs are without: it takes minutes to build. */
const WHEREABOUTS: Peer = {
  name: 'whereabouts',
  module: 'github.com/k8snetworkplumbingwg/whereabouts@v0.9.4',
  path: 'cmd',
};

const MULTUS = 'gopkg.in/k8snetworkplumbingwg/multus-cni.v4@v4.3.0';

/** Multus in two halves: the plugin that forwards calls, and the process that serves them. */
const THICK: readonly Peer[] = [
  { name: 'multus-shim', module: MULTUS, path: 'cmd/multus-shim' },
  { name: 'multus-daemon', module: MULTUS, path: 'cmd/multus-daemon' },
];

/** Where the Go programs are: BRAID_PEERS, or a folder that git ignores. */
export const PEERS = process.env['BRAID_PEERS'] ?? join(ROOT, '.cache/peers');

/**
 * Installs what is missing.
 *
 * @returns the folder
 * @throws Error naming what to install when there is no Go
 */
export const installPeers = (): string => install([...COMPANIONS, ...counterparts()]);

/** The Go whereabouts; see installPeers. */
export const installWhereabouts = (): string => install([WHEREABOUTS]);

/** The Go multus-shim and multus-daemon; see installPeers. */
export const installThick = (): string => install(THICK);

function install(peers: readonly Peer[]): string {
  const missing = peers.filter(({ name }) => !existsSync(join(PEERS, name)));
  if (missing.length === 0) {
    return PEERS;
  }
  if (spawnSync('go', ['version']).error !== undefined) {
    throw new Error(
      `the Go programs ${missing.map(({ name }) => name).join(', ')} are not in ${PEERS}, and there is no "go" to build them: install Go 1.24 or newer (Debian: golang-go of backports) and run "node conformance/peers/peers.ts"`,
    );
  }
  mkdirSync(PEERS, { recursive: true });
  for (const peer of missing) {
    build(peer);
  }
  return PEERS;
}

/** In a module of its own: `go install path@version` asks for lists of versions, which not every proxy has. */
function build({ name, module, path }: Peer): void {
  const [modulePath = ''] = module.split('@');
  const folder = mkdtempSync(join(tmpdir(), 'braid-peer-'));
  try {
    writeFileSync(join(folder, 'peer.go'), `package peer\n\nimport _ "${modulePath}/${path}"\n`);
    go(folder, 'mod', 'init', 'peer');
    go(folder, 'mod', 'edit', '-require', module);
    go(folder, 'build', '-mod=mod', '-o', join(PEERS, name), `${modulePath}/${path}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function go(cwd: string, ...args: readonly string[]): void {
  const { status, stderr } = spawnSync('go', args, {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, CGO_ENABLED: '0' },
  });
  if (status !== 0) {
    throw new Error(`go ${args.join(' ')}: ${stderr}`);
  }
}

if (import.meta.main) {
  console.log(process.argv[2] === 'whereabouts' ? installWhereabouts() : installPeers());
}
