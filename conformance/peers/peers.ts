/**
 * The Go programs that ours are compared with, and cnitool. `node conformance/peers/peers.ts` installs them and prints their
 * folder; so does the first test that needs them.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');

const PACKAGES: readonly { readonly name: string; readonly module: string; readonly path: string }[] = [
  { name: 'cnitool', module: 'github.com/containernetworking/cni@v1.3.0', path: 'cnitool' },
  { name: 'macvlan', module: 'github.com/containernetworking/plugins@v1.9.1', path: 'plugins/main/macvlan' },
  { name: 'host-device', module: 'github.com/containernetworking/plugins@v1.9.1', path: 'plugins/main/host-device' },
  { name: 'host-local', module: 'github.com/containernetworking/plugins@v1.9.1', path: 'plugins/ipam/host-local' },
  { name: 'loopback', module: 'github.com/containernetworking/plugins@v1.9.1', path: 'plugins/main/loopback' },
  { name: 'static', module: 'github.com/containernetworking/plugins@v1.9.1', path: 'plugins/ipam/static' },
  { name: 'tuning', module: 'github.com/containernetworking/plugins@v1.9.1', path: 'plugins/meta/tuning' },
  { name: 'multus', module: 'gopkg.in/k8snetworkplumbingwg/multus-cni.v4@v4.3.0', path: 'cmd/multus' },
];

/** Where the Go programs are: BRAID_PEERS, or a folder that git ignores. */
export const PEERS = process.env['BRAID_PEERS'] ?? join(ROOT, '.cache/peers');

/**
 * Installs what is missing.
 *
 * @returns the folder
 * @throws Error naming what to install when there is no Go
 */
export function installPeers(): string {
  const missing = PACKAGES.filter(({ name }) => !existsSync(join(PEERS, name)));
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
function build({ name, module, path }: (typeof PACKAGES)[number]): void {
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
  console.log(installPeers());
}
