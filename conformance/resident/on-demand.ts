/** A node whose first process is its own, with launchers that start an agent. All that runs there ends with it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Env, execute, type Outcome } from '../lab/execute.ts';
import { Lab } from '../lab/lab.ts';
import { type Call, envOf, stdinOf } from '../lab/programs.ts';
import { Folder } from './folder.ts';

/** On a machine with far too much to do. */
const PATIENCE_MS = 120_000;

/** It takes up whoever has lost its parent. */
const FIRST_PROCESS = 'sleep infinity & while :; do wait; done';

export class OnDemandNode implements AsyncDisposable {
  readonly lab: Lab;
  readonly folder: Folder;
  /** of the agent's socket and log */
  readonly run: string;
  readonly socket: string;
  private readonly unshare: ChildProcess;
  private first = '';

  private constructor(lab: Lab) {
    this.lab = lab;
    this.folder = new Folder(lab);
    this.run = join(lab.dir, 'run/braid');
    this.socket = join(this.run, 'agent.sock');
    const words = [
      '--pid',
      '--fork',
      '--kill-child=KILL',
      '--propagation',
      'slave',
      '--mount-proc',
      'sh',
      '-c',
      FIRST_PROCESS,
    ];
    const argv = ['--pdeathsig', 'KILL', 'ip', 'netns', 'exec', lab.node, 'unshare', ...words];
    this.unshare = spawn('setpriv', argv, { stdio: 'ignore' });
  }

  /** @param idleS how long an agent lives without a call */
  static async open(idleS = 60): Promise<OnDemandNode> {
    const node = new OnDemandNode(await Lab.open());
    try {
      await until(() => {
        const { pid } = node.unshare;
        [node.first = ''] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ');
        return node.first !== '' && readFileSync(`/proc/${node.first}/comm`, 'utf8') === 'sh\n';
      });
      await node.folder.install('resident', '--on-demand');
      writeFileSync(join(node.folder.bin, '.braid/on-demand'), `${idleS}\n`);
    } catch (error) {
      await node[Symbol.asyncDispose]();
      throw error;
    }
    return node;
  }

  /** Calls a plugin through its launcher, on the node. */
  call(call: Call, env: Env = {}): Promise<Outcome> {
    const enter = ['nsenter', '-t', this.first, '--mount', '--net', '--pid'];
    return execute([...enter, join(this.folder.bin, call.plugin)], {
      env: { ...envOf(this.folder.side, call), BRAID_AGENT: this.socket, ...env },
      stdin: stdinOf(call.conf),
      cwd: '/',
    });
  }

  /** What all agents have logged. */
  get log(): string {
    try {
      return readFileSync(join(this.run, 'agent.log'), 'utf8');
    } catch {
      return '';
    }
  }

  /** Agents that run, as this process knows them. */
  agents(): readonly number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && wordsOf(name).startsWith(`braid\0agent\0--socket\0${this.socket}\0`))
      .map(Number);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.unshare.kill('SIGKILL');
    await until(() => this.agents().length === 0);
    await this.lab[Symbol.asyncDispose]();
  }
}

function wordsOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}

/** Looks again and again until it is so. */
export async function until(look: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!look()) {
    if (performance.now() > deadline) {
      throw new Error(`it is not so after ${PATIENCE_MS} ms: ${look}`);
    }
    await sleep(5);
  }
}
