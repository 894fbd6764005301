/**
 * The resident form in the place of the standalone one, for every scenario: `./scripts/test --form resident`, which sets
 * BRAID_FORM. Calls of a lab then go through launchers to agents of its own.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BASE_ENV, type Env, type Outcome } from './execute.ts';
import { errorOf } from './printed.ts';
import { DIST, PLUGINS, STANDALONE } from './programs.ts';

/** Launchers as they are installed. */
const RESIDENT = join(DIST, 'resident');

export const IS_RESIDENT: boolean = process.env['BRAID_FORM'] === 'resident';

/** Where a plugin is called, and with which variables. */
export interface Place {
  readonly bin: string;
  readonly env: Env;
}

/** What an agent has to do with the folder of its lab. */
interface LabFolder {
  /** of the agents' own folder, which is beside it: tests look at all that is in a lab's */
  readonly prefix: string;
  /** where delegates are executed, as those of a call are */
  readonly dir: string;
}

/** How an agent is started. */
interface Start {
  /** words in front of the command: what they mount the agent sees, as calls do */
  readonly wrapper: readonly string[];
  readonly env: Env;
}

/** What an agent takes. Launchers leave other words to the program beside them, and answer VERSION themselves. */
const TAKEN = ['ADD', 'DEL', 'CHECK', 'STATUS', 'GC'];

/** The program is watched, or its disk fails: see steps.ts and faults.ts. */
const PRELOADED = 'LD_PRELOAD';
const TRY_AGAIN_LATER = 11;

export class ResidentForm implements Disposable {
  /** words in front of the command of each agent: they lead to the node */
  private readonly node: readonly string[];
  private readonly lab: LabFolder;
  private readonly isChosen: boolean;
  private readonly agents = new Set<RunningAgent>();
  private readonly places = new Map<string, Promise<Place>>();
  private folder: string | undefined;
  private count = 0;

  /**
   * @param node words that start a program on the node
   * @param isChosen whether it is the form of this lab
   */
  constructor(node: readonly string[], lab: LabFolder, isChosen = IS_RESIDENT) {
    this.node = node;
    this.lab = lab;
    this.isChosen = isChosen;
  }

  /**
   * Starts the agent that sees what is mounted by these words, when it is needed; undefined in the other form.
   *
   * @param wrapper words in front of a command
   */
  at(wrapper: readonly string[] = []): Promise<Place> | undefined {
    if (!this.isChosen) {
      return undefined;
    }
    const key = wrapper.join('\0');
    const place = this.places.get(key) ?? this.start({ wrapper, env: {} }).then((agent) => agent.place);
    this.places.set(key, place);
    return place;
  }

  /**
   * Has a call done, by an agent that serves no other when its environment says that something is preloaded: what this
   * does to the program of the call is done to the agent.
   *
   * @returns as of a program; when the agent was killed, the caller must have been told to try again
   */
  async call(env: Env, wrapper: readonly string[], work: (place?: Place) => Promise<Outcome>): Promise<Outcome> {
    if (this.isChosen && !TAKEN.includes(env['CNI_COMMAND'] ?? '')) {
      return work({ bin: RESIDENT, env: {} });
    }
    if (!this.isChosen || env[PRELOADED] === undefined) {
      return work(await this.at(wrapper));
    }
    const agent = await this.start({ wrapper, env: preloadedIn(env) });
    const outcome = await work(agent.place);
    const end = await agent.end(env['KILL_AFTER']);
    this.agents.delete(agent);
    const stderr = outcome.stderr + end.said;
    if (!end.wasKilled) {
      return { ...outcome, stderr };
    }
    if (outcome.exitCode !== 0 && outcome.signal === undefined) {
      const { code, message } = errorOf(outcome);
      if (code !== TRY_AGAIN_LATER) {
        throw new Error(`the agent was killed, and its caller was told: ${message}`);
      }
    }
    return { exitCode: undefined, signal: 'SIGKILL', stdout: '', stderr };
  }

  [Symbol.dispose](): void {
    for (const agent of this.agents) {
      agent.kill();
    }
    if (this.folder !== undefined) {
      rmSync(this.folder, { recursive: true, force: true });
    }
  }

  private async start(start: Start): Promise<RunningAgent> {
    this.folder ??= mkdtempSync(join(tmpdir(), `${this.lab.prefix}-agents-`));
    const folder = join(this.folder, String(++this.count));
    const agent = new RunningAgent(this.node, launchersIn(this.folder), folder, { ...start, cwd: this.lab.dir });
    this.agents.add(agent);
    await agent.isReady;
    return agent;
  }
}

/** Launchers without a program beside them: nothing else can have done their calls. */
function launchersIn(folder: string): string {
  const bin = join(folder, 'bin');
  if (mkdirSync(bin, { recursive: true }) !== undefined) {
    for (const plugin of PLUGINS) {
      copyFileSync(join(RESIDENT, plugin), join(bin, plugin));
    }
  }
  return bin;
}

class RunningAgent {
  readonly place: Place;
  readonly isReady: Promise<void>;
  private readonly child: ChildProcess;
  private readonly ended: Promise<void>;
  private said = '';

  constructor(
    node: readonly string[],
    bin: string,
    folder: string,
    { wrapper, env, cwd }: Start & { readonly cwd: string },
  ) {
    const socket = join(folder, 'agent.sock');
    this.place = { bin, env: { BRAID_AGENT: socket } };
    const ended = ['setpriv', '--pdeathsig', 'KILL']; // with this process, however this ends
    const braid = [join(STANDALONE, 'braid'), 'agent', '--socket', socket];
    const [program = '', ...words] = [...ended, ...node, ...wrapper, ...braid];
    const child = spawn(program, words, {
      env: { ...BASE_ENV, ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
      cwd,
    });
    this.child = child;
    this.ended = new Promise((resolve) => child.once('close', () => resolve()));
    this.isReady = new Promise((resolve, reject) => {
      child.stderr.on('data', (chunk: Buffer) => {
        this.said += chunk.toString('utf8');
        if (this.said.includes('takes calls')) {
          resolve();
        }
      });
      child.once('close', () => reject(new Error(`the agent has ended: ${this.said}`)));
    });
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }

  /**
   * Ends it after its only call.
   *
   * @param last the effect after which it was to be killed
   * @returns whether it was, and what it has said
   */
  async end(last: string | undefined): Promise<{ readonly wasKilled: boolean; readonly said: string }> {
    this.kill();
    await this.ended;
    const wasKilled = last !== undefined && new RegExp(`^step ${last}: `, 'm').test(this.said);
    return { wasKilled, said: this.said };
  }
}

/** The same for the program of the agent. Its effects count from its first caller on. */
function preloadedIn(env: Env): Env {
  const own = Object.entries(env).filter(([name]) => !/^(PATH|CNI_.*|LC_ALL)$/.test(name));
  const programs = Object.fromEntries(
    own.filter(([name]) => /^(STEPS|FAULTS)_OF$/.test(name)).map(([name]) => [name, 'braid']),
  );
  return { ...Object.fromEntries(own), ...programs, STEPS_SERVED: '1' };
}
