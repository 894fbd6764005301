/**
 * The lab that benches run in: a namespace that plays the node, with NICs, and namespaces that play pods. The whole
 * runner is inside of the node's, so that entering it is in no figure.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const NAMED = '/run/netns';
const LAB_VARIABLE = 'BRAID_BENCH_LAB';
const ROOT = new URL('../..', import.meta.url).pathname;

export const CACHE = join(ROOT, '.cache');

/** @throws Error with the command and what it said */
export function run(argv: readonly string[], input = ''): string {
  const [program = '', ...args] = argv;
  const { error, status, stdout, stderr } = spawnSync(program, args, { input, encoding: 'utf8' });
  if (error !== undefined || status !== 0) {
    throw new Error(`cannot run "${argv.join(' ')}": ${error?.message ?? (stderr + stdout).trim()}`);
  }
  return stdout;
}

/**
 * Runs this program again inside a new node, and takes everything down after it.
 *
 * @returns its exit code
 */
export async function runInside(program: string, args: readonly string[]): Promise<number> {
  const prefix = `braid-bench-${process.pid}`;
  const node = `${prefix}-node`;
  try {
    run(['ip', 'netns', 'add', node]);
    mkdirSync(folderOf(prefix), { recursive: true });
    mkdirSync(scratchOf(prefix), { recursive: true });
    const words = [`--net=${NAMED}/${node}`, process.execPath, program, ...args];
    const env = { ...process.env, [LAB_VARIABLE]: prefix };
    // A group of its own, so that a signal ends what it has started too: that would write in folders already removed.
    const child = spawn('nsenter', words, { stdio: 'inherit', env, detached: true });
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => child.pid !== undefined && process.kill(-child.pid, signal));
    }
    return await new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => resolve(code ?? 1));
    });
  } finally {
    removeNamespaces(`${prefix}-`);
    rmSync(folderOf(prefix), { recursive: true, force: true });
    rmSync(scratchOf(prefix), { recursive: true, force: true });
  }
}

/** The lab that this process is inside of. */
export const labName = (): string | undefined => process.env[LAB_VARIABLE];

/** In memory, for what the runner itself writes. */
export const scratchOf = (prefix: string): string => join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), prefix);

/** On the project's disk: plugins that sync their records shall pay for it. */
export const folderOf = (prefix: string): string => join(process.env['BRAID_BENCH_FOLDER'] ?? CACHE, prefix);

function removeNamespaces(start: string): void {
  const names = existsSync(NAMED) ? readdirSync(NAMED).filter((name) => name.startsWith(start)) : [];
  run(['ip', '-batch', '-'], names.map((name) => `netns delete ${name}\n`).join(''));
}

export class Lab {
  /** for what plugins keep */
  readonly folder: string;
  private readonly prefix: string;
  private pods = 0;
  private nics = 0;

  /** @param prefix of all names, from `runInside` */
  constructor(prefix: string) {
    this.prefix = prefix;
    this.folder = folderOf(prefix);
    run(['ip', 'link', 'set', 'lo', 'up']);
  }

  /** Makes NICs until there are so many, each with its other end, up. */
  wantNics(count: number): void {
    for (; this.nics < count; this.nics++) {
      const name = nicName(this.nics);
      run(['ip', 'link', 'add', name, 'type', 'veth', 'peer', 'name', `${name}-port`]);
      run(['ip', 'link', 'set', `${name}-port`, 'up']);
      run(['ip', 'link', 'set', name, 'up']);
    }
  }

  /** New pods, by the names of their namespaces. */
  newPods(count: number): readonly string[] {
    const names = Array.from({ length: count }, () => `${this.prefix}-pod${this.pods++}`);
    run(['ip', '-batch', '-'], names.map((name) => `netns add ${name}\n`).join(''));
    return names;
  }

  newPod(): string {
    return this.newPods(1)[0] ?? '';
  }

  /** Not while something is measured: the kernel takes namespaces down in the background. */
  removePods(): void {
    removeNamespaces(`${this.prefix}-pod`);
  }
}

export const nicName = (number: number): string => `nic${number}`;

export const netnsPath = (pod: string): string => `${NAMED}/${pod}`;
