/** Needs of tiers, and how they are met. Each is checked once, and fails with what is missing. */
import { Failure } from '../lab/failure.ts';
import { execute } from './execute.ts';

export type Need = () => Promise<void>;

let last: Promise<unknown> = Promise.resolve();

/** One at a time, whichever tiers ask: package managers lock each other out. */
function run(argv: readonly string[]): Promise<void> {
  const next = last.then(() => runNow(argv));
  last = next.catch(() => undefined);
  return next;
}

/** Functions of scripts/setup.sh. */
const setUp = (...words: readonly string[]): Promise<void> => run(['bash', 'scripts/setup.sh', ...words]);

/** Its output is shown, because installing takes time. */
async function runNow(argv: readonly string[]): Promise<void> {
  const { exitCode, stderr } = await execute(argv, { shows: 'stderr' });
  if (exitCode !== 0) {
    const reason = stderr.trimEnd().split('\n').at(-1) ?? '';
    throw new Failure(reason.replace(/^setup(\.sh)?: /, '') || `${argv.join(' ')} failed`);
  }
}

function once(need: Need): Need {
  let met: Promise<void> | undefined;
  return () => {
    met ??= need();
    return met;
  };
}

export const root: Need = once(async () => {
  if (process.getuid?.() !== 0) {
    throw new Failure('needs root: sudo ./scripts/test');
  }
});

export const tools: Need = once(() => setUp('install_tools', 'cc', 'ip', 'nsenter', 'ping', 'python3', 'systemctl'));

export const build: Need = once(() => setUp('build'));

/** The link kinds that the tests need. */
export const kernel: Need = once(async () => {
  const netns = `braid-probe-${process.pid}`;
  const added = await execute(['ip', 'netns', 'add', netns]);
  if (added.exitCode !== 0) {
    throw new Failure(`needs to make network namespaces: ${added.stderr.trim()}`);
  }
  try {
    const probes = [
      'link add name probe0 type veth peer name probe1',
      'link add name probe2 type bridge',
      'link add name probe3 link probe0 type macvlan',
    ];
    for (const probe of probes) {
      const { exitCode, stderr } = await execute(['ip', '-n', netns, ...probe.split(' ')]);
      if (exitCode !== 0) {
        throw new Failure(`needs a kernel with veth, bridge and macvlan: "ip ${probe}": ${stderr.trim()}`);
      }
    }
  } finally {
    await execute(['ip', 'netns', 'delete', netns]);
  }
});

/** The Go programs that ours are compared with. */
export const peers: Need = once(() => setUp('install_peers'));

/** What takes long to get is used in CI, and on request. */
const isUsed = (what: string): boolean => isWanted(what) || process.env['CI'] === 'true';

/** The container runtimes of conformance/containerd: the newest must be built. */
export const containerd: Need = once(async () => {
  await setUp('install_tools', 'ping', 'setpriv', 'tar');
  await setUp('install_containerd', ...(isUsed('containerd2') ? ['containerd2'] : []));
});

/** A compiler and an emulator for launchers of another processor. */
export const otherProcessor: Need = once(async () => {
  if (isUsed('aarch64')) {
    await setUp('install_tools', 'aarch64-linux-gnu-gcc', 'qemu-aarch64-static');
  }
});

/** etcd and the API server of conformance/cluster. */
export const servers: Need = once(async () => {
  await setUp('install_tools', 'setpriv');
  await setUp('install_servers');
});

/** Kubelet and all else that a cluster of conformance/kubernetes has. */
export const kubernetes: Need = once(async () => {
  await setUp('install_tools', 'pivot_root', 'setpriv', 'tar', 'unshare');
  await setUp('install_kubernetes');
});

/** The virtual machine of conformance/vm, and of nodes in conformance/kubernetes. */
export const machine: Need = once(async () => {
  await setUp('install_tools', 'ping');
  await run(['conformance/vm/machine/setup']);
});

/** Options of `./scripts/test --with`. */
const isWanted = (word: string): boolean => (process.env['BRAID_WITH'] ?? '').split(',').includes(word);
