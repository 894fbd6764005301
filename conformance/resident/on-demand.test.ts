/** Launchers whose first call starts the agent. */
import { copyFileSync, existsSync, readdirSync, readFileSync, readlinkSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { inParallel } from '../lab/execute.ts';
import { fake } from '../lab/fakes.ts';
import type { Lab, Pod } from '../lab/lab.ts';
import type { Call } from '../lab/programs.ts';
import { Store } from '../lab/store.ts';
import { chained, multus, network } from './networks.ts';
import { OnDemandNode, until } from './on-demand.ts';

const OK = { exitCode: 0 };

const whereabouts = (lab: Lab, pod: Pod, verb: string, containerId = 'c1'): Call => ({
  plugin: 'whereabouts',
  verb,
  containerId,
  netns: pod.path,
  conf: { cniVersion: '1.1.0', name: 'n', type: 'whereabouts', ipam: network(lab)['ipam'] },
});

const starts = ({ log }: OnDemandNode): number => log.split('takes calls').length - 1;

const nextAddress = async (lab: Lab): Promise<readonly string[]> =>
  new Store(lab, { range: '10.5.0.0/24' }).add('probe');

describe('an agent that a call has started', () => {
  it('serves the calls after that one, and has nothing of its caller', async () => {
    await using node = await OnDemandNode.open();
    const { lab, folder } = node;
    const pod = await lab.pod();
    expect(await node.call(whereabouts(lab, pod, 'ADD'))).toMatchObject({ ...OK, stderr: '' });
    await until(() => starts(node) === 1);
    const [agent] = node.agents();
    const links = ['0', '1', '2', '3'].map((fd) => readlinkSync(`/proc/${agent}/fd/${fd}`));
    expect(links).toEqual(['/dev/null', '/dev/null', join(node.run, 'agent.log'), node.run]);
    expect(readlinkSync(`/proc/${agent}/cwd`)).toBe('/');
    const variables = readFileSync(`/proc/${agent}/environ`, 'latin1')
      .split('\0')
      .map((entry) => entry.split('=')[0]);
    expect(variables.filter((name) => name !== '')).toEqual(['PATH']);
    const [, , , session] = readFileSync(`/proc/${agent}/stat`, 'latin1')
      .replace(/^.*\) /, '')
      .split(' ');
    expect(Number(session)).toBe(agent);
    const standalone = join(folder.bin, '.braid/standalone');
    renameSync(standalone, `${standalone}.aside`);
    expect(await node.call(whereabouts(lab, pod, 'DEL'))).toMatchObject(OK);
    expect(node.agents()).toEqual([agent]);
    expect(await nextAddress(lab)).toEqual(['10.5.0.1/24']);
  });

  it('keeps the lock that makes it the only one, and gives it to no delegate', async () => {
    await using node = await OnDemandNode.open();
    const { lab, folder } = node;
    const pod = await lab.pod();
    expect(await node.call(whereabouts(lab, pod, 'STATUS'))).toMatchObject(OK);
    await until(() => starts(node) === 1);
    const script = 'cat >/dev/null; [ "$CNI_COMMAND" = ADD ] || exit 0; ls -l /proc/self/fd >"$0.fds"; echo "{}"';
    const path = [fake(lab, 'looks', script), folder.bin];
    const conf = multus(lab, folder.bin, [chained(lab, 'looks')]);
    const call: Call = { plugin: 'multus', verb: 'ADD', ifName: 'eth0', netns: pod.path, path, conf };
    const outcome = await node.call(call);
    expect(outcome, outcome.stdout).toMatchObject(OK);
    expect(readFileSync(join(lab.dir, 'fake/looks.fds'), 'utf8')).not.toContain(node.run);
    expect(await node.call({ ...call, verb: 'DEL' })).toMatchObject(OK);
  });

  it('is one, however many first calls come at once', async () => {
    await using node = await OnDemandNode.open();
    const { lab } = node;
    const pod = await lab.pod();
    const ipam = { type: 'static', addresses: [{ address: '10.5.0.9/24' }] };
    const conf = { cniVersion: '1.1.0', name: 'n', type: 'static', ipam };
    const call = { plugin: 'static', verb: 'ADD', netns: pod.path, conf };
    const all = Array.from({ length: 50 }, (_, index) => ({ ...call, containerId: `c${index}` }));
    for (const round of ['first', 'second']) {
      const outcomes = await Promise.all(all.map((one) => node.call(one)));
      expect(outcomes.filter(({ exitCode }) => exitCode !== 0)).toEqual([]);
      await until(() => starts(node) > 0);
      expect([starts(node), node.agents().length], round).toEqual([1, 1]);
    }
  });

  it('may be killed while it starts, and while it serves: the next call starts another', async () => {
    await using node = await OnDemandNode.open();
    const { lab } = node;
    const pod = await lab.pod();
    for (const moment of ['starts', 'serves']) {
      const before = starts(node);
      const call = node.call(whereabouts(lab, pod, 'ADD', moment));
      await until(() => node.agents().length > 0 && (moment === 'starts' || starts(node) > before));
      for (const pid of node.agents()) {
        process.kill(pid, 'SIGKILL');
      }
      expect(await call).toMatchObject(OK);
      await until(() => node.agents().length === 0);
    }
    expect(await node.call(whereabouts(lab, pod, 'DEL', 'starts'))).toMatchObject(OK);
    await until(() => node.agents().length === 1);
    expect(await node.call(whereabouts(lab, pod, 'DEL', 'serves'))).toMatchObject(OK);
    expect(await nextAddress(lab)).toEqual(['10.5.0.1/24']);
  });

  it('ends after its time without a call, with its socket; no call is lost that comes just then', async () => {
    await using node = await OnDemandNode.open(1);
    const { lab } = node;
    const pod = await lab.pod();
    const failed: unknown[] = [];
    await inParallel(
      Array.from({ length: 6 }, (_, index) => index),
      6,
      async (index) => {
        for (let round = 0; round < 4; round++) {
          for (const verb of ['ADD', 'DEL']) {
            const outcome = await node.call(whereabouts(lab, pod, verb, `c${index}`));
            failed.push(...(outcome.exitCode === 0 ? [] : [outcome]));
          }
          await sleep(Math.random() * 4000);
        }
      },
    );
    expect(failed).toEqual([]);
    await until(() => node.agents().length === 0);
    expect(node.log).toContain('ends: no call for 1 s');
    expect(readdirSync(node.run)).toEqual(['agent.log']);
    expect(await nextAddress(lab)).toEqual(['10.5.0.1/24']);
  });

  it('makes room for the program that replaces its own', async () => {
    await using node = await OnDemandNode.open();
    const { lab, folder } = node;
    const pod = await lab.pod();
    expect(await node.call(whereabouts(lab, pod, 'STATUS'))).toMatchObject(OK);
    await until(() => starts(node) === 1);
    const standalone = join(folder.bin, '.braid/standalone');
    copyFileSync(standalone, `${standalone}.new`);
    renameSync(`${standalone}.new`, standalone);
    await until(() => node.agents().length === 0);
    expect(node.log).toContain('ends: its program was replaced');
    expect(await node.call(whereabouts(lab, pod, 'STATUS'))).toMatchObject(OK);
    await until(() => starts(node) === 2);
  });

  it('is not started in a network namespace that is not the first process’s, nor where nobody asked for it', async () => {
    await using node = await OnDemandNode.open();
    const { lab, folder } = node;
    const pod = await lab.pod();
    const env = { BRAID_AGENT: node.socket };
    expect(await lab.call({ ...whereabouts(lab, pod, 'STATUS'), env }, folder.side)).toMatchObject(OK);
    expect(existsSync(node.run)).toBe(false);
    await folder.install('resident');
    expect(await node.call(whereabouts(lab, pod, 'STATUS'))).toMatchObject(OK);
    expect(existsSync(node.run)).toBe(false);
  });
});
