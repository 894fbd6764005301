/** A machine in software that runs what it is told: see guest for what is in it. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ServerProcess, startProcess } from '../../cluster/server-process.ts';
import { GiveUp, until } from '../../containerd/poll.ts';
import { BASE_ENV, type Execution, mustRun, type Outcome } from '../../lab/execute.ts';

const MACHINE = join(import.meta.dirname, '../../vm/machine');
const START = join(import.meta.dirname, 'start');
const GUEST = join(import.meta.dirname, 'guest');

/** On a machine with far too much to do. */
const START_MS = 400_000;
const PAUSE_MS = 20;

export interface MachineWanted {
  /** its own */
  readonly folder: string;
  readonly name: string;
  readonly number: number;
  /** interfaces with virtual functions; a tap for each, and one for `eth0`, is where `enter` leads */
  readonly cards: readonly string[];
  /** words that start a program where the taps are */
  readonly enter: readonly string[];
  /** more variables for `guest` */
  readonly order: Readonly<Record<string, string>>;
}

/** Makes emulator, kernel and modules if they are missing. @returns their folder */
export const installMachine = async (): Promise<string> =>
  (await mustRun([join(MACHINE, 'setup')], { env: { ...BASE_ENV, ...process.env } as Record<string, string> })).trim();

export class Machine {
  private readonly wanted: MachineWanted;
  private emulator: ServerProcess | undefined;

  constructor(wanted: MachineWanted) {
    this.wanted = wanted;
    for (const name of ['jobs', 'root']) {
      mkdirSync(this.shared(name), { recursive: true });
    }
  }

  /** A path here of what the machine sees below /shared. What is in `root` is put over its root when it starts. */
  shared(...names: readonly string[]): string {
    return join(this.wanted.folder, 'shared', ...names);
  }

  get isOn(): boolean {
    return this.emulator !== undefined;
  }

  /** @throws Error with what the machine has said when it does not come up */
  async powerOn(): Promise<void> {
    const { folder, name, number, cards, enter } = this.wanted;
    const vm = await installMachine();
    for (const left of [this.shared('up'), ...['jobs.in', 'jobs.out'].map((fifo) => join(folder, fifo))]) {
      rmSync(left, { force: true });
    }
    execFileSync('mkfifo', [join(folder, 'jobs.in'), join(folder, 'jobs.out')]);
    writeFileSync(this.shared('order'), this.orderText(vm));
    writeFileSync(this.shared('guest'), readFileSync(GUEST));
    const words = [vm, folder, name, String(number), ...cards];
    const emulator = startProcess(START, words, folder, { enter, forks: false });
    this.emulator = emulator;
    await until(
      `the machine ${name}`,
      () => {
        this.demandAlive();
        return existsSync(this.shared('up')) ? true : undefined;
      },
      START_MS,
    );
  }

  /** Everything in it is gone. */
  async cutPower(): Promise<void> {
    const { emulator } = this;
    this.emulator = undefined;
    await emulator?.kill();
    rmSync(this.shared('jobs'), { recursive: true });
    mkdirSync(this.shared('jobs'));
  }

  /** Runs a program in it, with the environment of `guest`. */
  async execute(argv: readonly string[], { stdin = '' }: Pick<Execution, 'stdin'> = {}): Promise<Outcome> {
    this.demandAlive();
    const job = mkdtempSync(this.shared('jobs', 'job-'));
    const file = (name: string): string => join(job, name);
    writeFileSync(file('script'), `exec ${argv.map(quoted).join(' ')}\n`);
    writeFileSync(file('stdin'), stdin);
    appendFileSync(join(this.wanted.folder, 'jobs.in'), `${basename(job)}\n`);
    while (!existsSync(file('status'))) {
      this.demandAlive();
      await sleep(PAUSE_MS);
    }
    const [exitCode, stdout = '', stderr = ''] = ['status', 'stdout', 'stderr'].map((name) =>
      readFileSync(file(name), 'utf8'),
    );
    rmSync(job, { recursive: true });
    return { exitCode: Number(exitCode), signal: undefined, stdout, stderr };
  }

  /** @throws GiveUp when it has ended, or is off */
  private demandAlive(): void {
    const { emulator } = this;
    if (emulator === undefined || emulator.hasEnded()) {
      const words = ['console.log', 'guest.log'].map((name) => endOf(this.shared(name)));
      throw new GiveUp([`the machine is off: ${emulator?.lastWords() ?? ''}`, ...words].join('\n'));
    }
  }

  private orderText(vm: string): string {
    const { name, cards, order } = this.wanted;
    const variables = { ...order, VM: vm, PREPARE: join(MACHINE, 'prepare'), NAME: name };
    const lines = Object.entries(variables).map(([key, value]) => `${key}=${quoted(value)}`);
    return [...lines, `CARDS=(${cards.map(quoted).join(' ')})`, ''].join('\n');
  }
}

const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;

const LAST = 2_000;
const endOf = (file: string): string => (existsSync(file) ? readFileSync(file, 'latin1').slice(-LAST) : '');
