/**
 * The resident form in the place of the standalone one, for every scenario: BRAID_FORM=resident. A lab's calls then go
 * through launchers to an agent of its own.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { BASE_ENV, type Env } from './execute.ts';
import { DIST, PLUGINS, STANDALONE } from './programs.ts';

const IS_RESIDENT = process.env['BRAID_FORM'] === 'resident';

/** Where a plugin is called, and with which variables. */
export interface Place {
  readonly bin: string;
  readonly env: Env;
}

export class ResidentForm implements Disposable {
  private readonly node: string;
  private readonly dir: string;
  private agent: ChildProcess | undefined;
  private place: Promise<Place> | undefined;

  /**
   * @param node the namespace that the agent runs in
   * @param dir a folder of the lab
   */
  constructor(node: string, dir: string) {
    this.node = node;
    this.dir = dir;
  }

  /** Starts the agent when it is needed; undefined in the other form. */
  at(): Promise<Place> | undefined {
    this.place ??= IS_RESIDENT ? this.start() : undefined;
    return this.place;
  }

  [Symbol.dispose](): void {
    this.agent?.kill('SIGKILL');
  }

  /** Launchers without a program beside them: nothing else can have done their calls. */
  private async start(): Promise<Place> {
    const bin = join(this.dir, 'launchers');
    mkdirSync(bin, { mode: 0o700 });
    for (const plugin of PLUGINS) {
      copyFileSync(join(DIST, 'resident', plugin), join(bin, plugin));
    }
    const socket = join(bin, 'agent.sock');
    const words = ['netns', 'exec', this.node, join(STANDALONE, 'braid'), 'agent', '--socket', socket];
    const agent = spawn('ip', words, { env: BASE_ENV, stdio: ['ignore', 'ignore', 'pipe'], cwd: this.dir });
    this.agent = agent;
    await new Promise((resolve, reject) => {
      agent.stderr.once('data', resolve);
      agent.once('exit', () => reject(new Error('the agent has ended')));
    });
    return { bin, env: { BRAID_AGENT: socket } };
  }
}
