/** A node that a real systemd has booted, with units that `braid install` writes. It sees nothing else of the machine. */
import { join } from 'node:path';
import { Place } from '../containerd/place.ts';
import { until } from '../containerd/poll.ts';
import { BASE_ENV, execute, type Outcome } from '../lab/execute.ts';
import type { Lab } from '../lab/lab.ts';
import { type Call, envOf, OURS, STANDALONE, stdinOf } from '../lab/programs.ts';
import { ask } from './ask.ts';

export const SOCKET = 'braid-agent.socket';
export const SERVICE = 'braid-agent.service';

/** On a machine with far too much to do. */
const PATIENCE_MS = 120_000;

export class SystemdNode implements AsyncDisposable {
  readonly lab: Lab;
  readonly bin: string;
  /** /etc/systemd/system */
  readonly units: string;
  private place: Place;
  private boots = 0;

  private constructor(lab: Lab, place: Place) {
    this.lab = lab;
    this.bin = lab.folder('bin');
    this.units = lab.folder('units');
    this.place = place;
  }

  static async boot(lab: Lab): Promise<SystemdNode> {
    const node = new SystemdNode(lab, await start(lab, 0));
    await node.untilBooted();
    return node;
  }

  /** Everything is killed, and what is on disk boots again. */
  async bootAgain(): Promise<void> {
    await this.end();
    this.place = await start(this.lab, ++this.boots);
    await this.untilBooted();
  }

  /** Runs a program there. */
  execute(argv: readonly string[], more: Parameters<typeof execute>[1] = {}): Promise<Outcome> {
    const enter = ['nsenter', '-t', this.place.pid, '--mount', '--net', '--pid', '--ipc', '--uts', '--cgroup'];
    return execute([...enter, ...argv], { env: BASE_ENV, cwd: this.lab.dir, ...more });
  }

  /** @returns what it prints */
  async systemctl(words: string): Promise<string> {
    return (await this.execute(['systemctl', ...words.split(' ')])).stdout.trim();
  }

  /** Something that systemd knows of a unit. */
  property(name: string, unit = SERVICE): Promise<string> {
    return this.systemctl(`show --value --property=${name} ${unit}`);
  }

  braid(words: string): Promise<Outcome> {
    return this.execute([join(STANDALONE, 'braid'), ...words.split(' ')]);
  }

  install(): Promise<Outcome> {
    return this.braid(`install --bin ${this.bin} --form resident`);
  }

  /** Calls a plugin through the launcher that install has put there. */
  call(call: Call, onStart?: (kill: () => void) => void): Promise<Outcome> {
    return this.execute([join(this.bin, call.plugin)], {
      env: envOf({ ...OURS, path: [this.bin] }, call),
      stdin: stdinOf(call.conf),
      ...(onStart && { onStart }),
    });
  }

  /** How many calls the agent that runs has done. */
  async served(): Promise<number> {
    const socketPath = join('/proc', this.place.pid, 'root/run/braid/status.sock');
    const { text } = await ask({ socketPath, path: '/metrics' });
    const counts = [...text.matchAll(/^braid_calls_total\{.*\} (\d+)$/gm)].map(([, count]) => Number(count));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** Ends the agent without a warning. */
  async kill(): Promise<void> {
    await this.systemctl(`kill --signal=KILL ${SERVICE}`);
  }

  until(what: string, look: () => Promise<boolean>): Promise<boolean> {
    return until(what, async () => ((await look()) ? true : undefined), PATIENCE_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }

  private async end(): Promise<void> {
    await this.place.end();
    const remove = 'mount -t cgroup2 cgroup2 /mnt && find "/mnt/$0" -depth -type d -exec rmdir {} +';
    const removed = async (): Promise<boolean> =>
      (
        await execute([
          'unshare',
          '--mount',
          '--propagation',
          'slave',
          'sh',
          '-c',
          remove,
          groupOf(this.lab, this.boots),
        ])
      ).exitCode === 0;
    await this.until('the group of processes to be empty', removed);
  }

  private async untilBooted(): Promise<void> {
    await this.until('systemd', async () => {
      this.place.demandAlive();
      return (await this.systemctl('is-system-running')) === 'running';
    });
  }
}

const groupOf = ({ prefix }: Lab, boot: number): string => `${prefix}-systemd-${boot}`;

const start = (lab: Lab, boot: number): Promise<Place> =>
  Place.start({
    within: ['nsenter', `--net=/run/netns/${lab.node}`],
    unshare: ['--mount', '--propagation', 'slave', '--mount-proc', '--uts', '--ipc'],
    init: ['sh', join(import.meta.dirname, 'systemd-init.sh'), lab.folder('units'), groupOf(lab, boot)],
    env: BASE_ENV,
    log: join(lab.dir, 'systemd.log'),
  });
