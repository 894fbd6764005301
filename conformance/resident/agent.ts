/** An agent on the node of a lab, and launchers that call it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { eventually } from '../lab/eventually.ts';
import { BASE_ENV, type Env, execute, type Outcome } from '../lab/execute.ts';
import type { Lab } from '../lab/lab.ts';
import { type Call, DIST, envOf, OURS, PLUGINS, type Side, STANDALONE, stdinOf } from '../lab/programs.ts';
import { type Answer, ask } from './ask.ts';
import { type Descriptors, descriptorsOf, moreThan } from './descriptors.ts';

export const RESIDENT = join(DIST, 'resident');

/** On a machine with far too much to do. */
const PATIENCE_MS = 120_000;

/** What an agent has of its own. */
interface Own {
  /** of `braid agent` */
  readonly options?: readonly string[];
  /** words in front of the command */
  readonly wrapper?: readonly string[];
  /** more variables */
  readonly env?: Env;
}

/** One agent after another, on the same socket. */
export class Agent implements AsyncDisposable {
  readonly socket: string;
  /** where it tells about itself */
  readonly status: string;
  /** launchers without a program beside them: what they do the agent has done */
  readonly launchers: Side;
  /** launchers as they are installed */
  readonly installed: Side = { ...OURS, bin: RESIDENT, path: [RESIDENT, ...OURS.path.slice(1)] };
  private readonly lab: Lab;
  private readonly own: Own;
  private readonly all: ChildProcess[] = [];
  private said = '';

  private constructor(lab: Lab, own: Own = {}) {
    this.lab = lab;
    this.own = own;
    mkdirSync(join(lab.dir, 'run'), { mode: 0o700 });
    this.socket = join(lab.dir, 'run', 'agent.sock');
    this.status = join(lab.dir, 'run', 'status.sock');
    const bin = lab.folder('launchers');
    for (const plugin of PLUGINS) {
      copyFileSync(join(RESIDENT, plugin), join(bin, plugin));
    }
    this.launchers = { ...OURS, bin, path: [bin, ...OURS.path.slice(1)] };
  }

  /** A lab's own; it does not run yet. */
  static of(lab: Lab, own: Own = {}): Agent {
    return new Agent(lab, own);
  }

  static async start(lab: Lab, own: Own = {}): Promise<Agent> {
    const agent = new Agent(lab, own);
    await agent.start();
    return agent;
  }

  /** Starts another one; the one before ends when it has noticed. */
  async start(isReady?: () => boolean): Promise<void> {
    const { wrapper = [], options = [] } = this.own;
    this.spawn([...wrapper, join(STANDALONE, 'braid'), 'agent', '--socket', this.socket, ...options]);
    const begin = this.said.length;
    await this.until(isReady ?? (() => this.said.includes('takes calls', begin)));
  }

  /** systemd listens, and starts one at the first call. */
  async startOnDemand(): Promise<void> {
    this.spawn([
      'systemd-socket-activate',
      `--listen=${this.socket}`,
      join(STANDALONE, 'braid'),
      'agent',
      '--status',
      this.status,
    ]);
    await this.until(() => this.said.includes('Listening on'));
  }

  /** As systemd keeps it: at each call for which none is there, one is started. */
  async startActivated(): Promise<void> {
    const own = ['--status', this.status, ...(this.own.options ?? [])];
    this.spawn([
      ...['python3', join(import.meta.dirname, 'activate.py'), this.socket],
      ...[join(STANDALONE, 'braid'), 'agent', ...own],
    ]);
    await this.until(() => this.said.includes('listens\n'));
  }

  /** Tells the one that runs to end, waits until it has, and does not start another: the next call does. */
  async endActivated(): Promise<void> {
    await this.until(() => this.activated !== undefined);
    const pid = this.activated;
    process.kill(pid as number, 'SIGTERM');
    await this.until(() => this.activated !== pid);
  }

  /** The one that was started by a call, and runs. */
  private get activated(): number | undefined {
    const [pid] = [...this.said.matchAll(/^has started (\d+)$/gm)].map(([, digits]) => digits).slice(-1);
    return pid === undefined || this.said.includes(`\n${pid} has ended with`) ? undefined : Number(pid);
  }

  private spawn(words: readonly string[]): void {
    const all = ['netns', 'exec', this.lab.node, ...words];
    const child = spawn('ip', all, { env: { ...BASE_ENV, ...this.own.env }, stdio: 'pipe', cwd: '/' });
    this.all.push(child);
    child.stderr.on('data', (chunk: Buffer) => {
      this.said += chunk.toString('utf8');
    });
  }

  /** What all of them have logged. */
  get log(): string {
    return this.said;
  }

  /** Asks it about itself. */
  async ask(path: string): Promise<Answer> {
    await this.until(() => existsSync(this.status));
    return ask({ socketPath: this.status, path });
  }

  /** What it has open when it has let its last callers go: they have their answer a moment before. */
  async descriptors(): Promise<Descriptors> {
    let last = descriptorsOf(this.pid);
    for (let same = 0; same < 10; ) {
      await sleep(20);
      const now = descriptorsOf(this.pid);
      same = isDeepStrictEqual(now, last) ? same + 1 : 0;
      last = now;
    }
    return last;
  }

  /** Waits until it has nothing open that it had not before; fails with what this is. */
  untilNoMore(before: Descriptors): Promise<void> {
    return eventually(async () => moreThan(before, descriptorsOf(this.pid)), []);
  }

  /** In MiB: what is resident, and what of that is its own, as the executable's pages are shared by all who run it. */
  get memory(): { readonly resident: number; readonly own: number } {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    const of = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]) / 1024;
    return { resident: of('VmRSS'), own: of('RssAnon') };
  }

  /** Calls a plugin through its launcher. */
  call(call: Call, side = this.launchers, options: { readonly killAfterMs?: number } = {}): Promise<Outcome> {
    return this.lab.call({ ...call, env: { BRAID_AGENT: this.socket, ...call.env } }, side, options);
  }

  /** The same from outside of the node: the agent alone is inside. */
  callFromOutside(call: Call, onStart?: (kill: () => void) => void): Promise<Outcome> {
    return execute([join(this.launchers.bin, call.plugin)], {
      env: { ...envOf(this.launchers, call), BRAID_AGENT: this.socket },
      stdin: stdinOf(call.conf),
      cwd: this.lab.dir,
      ...(onStart && { onStart }),
    });
  }

  /** @returns how the last one has ended: exit code or signal */
  end(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<number | string | undefined> {
    const child = this.all.at(-1);
    child?.kill(signal);
    return ending(child);
  }

  /** Keeps it from doing anything, as a machine with far too much to do, and lets it go on. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.all.at(-1)?.kill(signal);
  }

  /** How the first one ends. */
  firstEnd(): Promise<number | string | undefined> {
    return ending(this.all[0]);
  }

  async until(look: () => boolean): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (!look()) {
      if (performance.now() > deadline) {
        throw new Error(`it is not so after ${PATIENCE_MS} ms; the agent said: ${this.said}`);
      }
      await sleep(10);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.all.map((child) => {
        child.kill('SIGKILL');
        return ending(child);
      }),
    );
    if (this.activated !== undefined) {
      process.kill(this.activated, 'SIGKILL');
    }
  }

  /** of the last one */
  get pid(): number {
    return this.all.at(-1)?.pid ?? -1;
  }
}

const ending = (child: ChildProcess | undefined): Promise<number | string | undefined> =>
  new Promise((resolve) => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) {
      resolve(child?.exitCode ?? child?.signalCode ?? undefined);
    } else {
      child.once('exit', (code, signal) => resolve(code ?? signal ?? undefined));
    }
  });
