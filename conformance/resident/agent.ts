/** An agent on the node of a lab, and launchers that call it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BASE_ENV, execute, type Outcome } from '../lab/execute.ts';
import type { Lab } from '../lab/lab.ts';
import { type Call, DIST, envOf, OURS, PLUGINS, type Side, STANDALONE, stdinOf } from '../lab/programs.ts';

export const RESIDENT = join(DIST, 'resident');

const PATIENCE_MS = 20_000;

/** One agent after another, on the same socket. */
export class Agent implements AsyncDisposable {
  readonly socket: string;
  /** launchers without a program beside them: what they do the agent has done */
  readonly launchers: Side;
  /** launchers as they are installed */
  readonly installed: Side = { ...OURS, bin: RESIDENT, path: [RESIDENT, ...OURS.path.slice(1)] };
  private readonly lab: Lab;
  private readonly all: ChildProcess[] = [];
  private said = '';

  private constructor(lab: Lab) {
    this.lab = lab;
    mkdirSync(join(lab.dir, 'run'), { mode: 0o700 });
    this.socket = join(lab.dir, 'run', 'agent.sock');
    const bin = lab.folder('launchers');
    for (const plugin of PLUGINS) {
      copyFileSync(join(RESIDENT, plugin), join(bin, plugin));
    }
    this.launchers = { ...OURS, bin, path: [bin, ...OURS.path.slice(1)] };
  }

  /** A lab's own; it does not run yet. */
  static of(lab: Lab): Agent {
    return new Agent(lab);
  }

  static async start(lab: Lab): Promise<Agent> {
    const agent = new Agent(lab);
    await agent.start();
    return agent;
  }

  /** Starts another one; the one before ends when it has noticed. */
  async start(): Promise<void> {
    this.spawn([join(STANDALONE, 'braid'), 'agent', '--socket', this.socket]);
    const begin = this.said.length;
    await this.until(() => this.said.includes('takes calls', begin));
  }

  /** systemd listens, and starts one at the first call. */
  async startOnDemand(): Promise<void> {
    this.spawn(['systemd-socket-activate', `--listen=${this.socket}`, join(STANDALONE, 'braid'), 'agent']);
    await this.until(() => this.said.includes('Listening on'));
  }

  private spawn(words: readonly string[]): void {
    const all = ['netns', 'exec', this.lab.node, ...words];
    const child = spawn('ip', all, { env: BASE_ENV, stdio: 'pipe', cwd: '/' });
    this.all.push(child);
    child.stderr.on('data', (chunk: Buffer) => {
      this.said += chunk.toString('utf8');
    });
  }

  /** What all of them have logged. */
  get log(): string {
    return this.said;
  }

  get descriptors(): number {
    return readdirSync(`/proc/${this.pid}/fd`).length;
  }

  /** Resident memory in MiB. */
  get memory(): number {
    return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))?.[1]) / 1024;
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
  }

  private get pid(): number {
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

/** What is written by a fake plugin shows that a call has come so far. */
export const reached = (lab: Lab): boolean => existsSync(join(lab.dir, 'reached'));
