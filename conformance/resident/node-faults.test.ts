/** What goes wrong around an agent: folders, disks, clocks, processors, and pods that mean harm. */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { mustRun } from '../lab/execute.ts';
import { fake } from '../lab/fakes.ts';
import { Lab, type Pod } from '../lab/lab.ts';
import { errorOf } from '../lab/printed.ts';
import { type Call, OURS } from '../lab/programs.ts';
import { stateOf } from '../lab/state.ts';
import { Store } from '../lab/store.ts';
import { Agent } from './agent.ts';
import { Clock } from './clock.ts';
import { chained, letGo, multus, network, reached, waits } from './networks.ts';

const OK = { exitCode: 0, signal: undefined };
const HELD_MS = 10_500;
const DAY_S = 86_400;

const macvlan = (lab: Lab, pod: Pod, verb: string, more: Partial<Call> = {}): Call => ({
  plugin: 'macvlan',
  verb,
  containerId: pod.name,
  netns: pod.path,
  conf: network(lab),
  ...more,
});

/** A call of multus that waits in the middle. */
function waiting(lab: Lab, agent: Agent, pod: Pod, verb: string): Call {
  const path = [fake(lab, 'waits', waits(lab)), ...agent.launchers.path];
  const conf = multus(lab, agent.launchers.bin, [chained(lab, 'waits')]);
  return { plugin: 'multus', verb, ifName: 'eth0', netns: pod.path, path, conf };
}

const linksOf = async (pod: Pod): Promise<readonly unknown[]> =>
  (await stateOf(pod.name)).links.map(({ ifname }) => ifname);

const nextAddress = async (lab: Lab): Promise<readonly string[]> =>
  new Store(lab, { range: '10.5.0.0/24' }).add('probe');

describe('the folder of the socket', () => {
  it('that cannot be written when the socket was deleted: calls are served without the agent, until it can', async () => {
    await using lab = await Lab.open();
    await using agent = await Agent.start(lab);
    const pod = await lab.pod();
    const folder = dirname(agent.socket);
    const there = ['nsenter', '-t', String(agent.pid), '--mount'];
    await mustRun([...there, 'mount', '--bind', folder, folder]);
    await mustRun([...there, 'mount', '-o', 'remount,bind,ro', folder]);
    rmSync(agent.socket);
    await agent.until(() => agent.log.includes('cannot listen again: '));
    expect(agent.log).toMatch(/EROFS/);
    expect(await agent.call(macvlan(lab, pod, 'ADD'), agent.installed)).toMatchObject(OK);
    await mustRun([...there, 'umount', folder]);
    await agent.until(() => agent.log.includes('listens again: the socket was deleted'));
    expect(await agent.call(macvlan(lab, pod, 'DEL'))).toMatchObject(OK);
    expect(await nextAddress(lab)).toEqual(['10.5.0.1/24']);
  });

  it('that cannot be written at the start: it says so, and ends', async () => {
    await using lab = await Lab.open();
    const folder = lab.folder('run');
    await lab.makeReadOnly(folder);
    const { exitCode, stderr } = await lab.execute([`${OURS.bin}/braid`, 'agent', '--socket', `${folder}/agent.sock`]);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/cannot .*listen|EROFS|others may enter/);
  });
});

describe('a disk that is full', () => {
  it('fails ADD with code 5 and leaves nothing in the pod; DEL is done, and with room all is as before', async () => {
    await using lab = await Lab.open();
    const disk = await lab.smallDisk('store', '1m'); // before the agent: it sees what is mounted by then
    await using agent = await Agent.start(lab);
    const [pod, other] = [await lab.pod(), await lab.pod()];
    const before = await linksOf(pod);
    expect(await agent.call(macvlan(lab, other, 'ADD'))).toMatchObject(OK);
    const filler = join(disk, 'filler');
    for (let bytes = 64 * 1024; bytes >= 4096; ) {
      try {
        writeFileSync(filler, Buffer.alloc(bytes), { flag: 'a' });
      } catch {
        bytes /= 2;
      }
    }
    let last = await agent.call(macvlan(lab, pod, 'ADD', { containerId: 'full-0' }));
    for (let index = 1; last.exitCode === 0 && index < 500; index++) {
      expect(await agent.call(macvlan(lab, pod, 'DEL', { containerId: `full-${index - 1}` }))).toMatchObject(OK);
      last = await agent.call(macvlan(lab, pod, 'ADD', { containerId: `full-${index}` }));
    }
    expect(errorOf(last)).toMatchObject({ code: 5 });
    expect(await linksOf(pod)).toEqual(before);
    expect(await agent.call(macvlan(lab, other, 'DEL'))).toMatchObject(OK);
    rmSync(filler);
    expect(await agent.call(macvlan(lab, pod, 'ADD'))).toMatchObject(OK);
    expect(await agent.call(macvlan(lab, pod, 'DEL'))).toMatchObject(OK);
    expect(await nextAddress(lab)).toEqual(['10.5.0.1/24']);
  });
});

describe('a clock that jumps', () => {
  it.each([
    ['forward', DAY_S],
    ['back', -DAY_S],
  ])('%s while a call is under way disturbs neither it nor the agent', async (_, seconds) => {
    await using lab = await Lab.open();
    const clock = await Clock.in(lab.dir);
    await using agent = await Agent.start(lab, { env: clock.env, options: ['--idle', '60'] });
    const pod = await lab.pod();
    const now = async (): Promise<number> => (JSON.parse((await agent.ask('/status')).text) as { now: number }).now;
    expect(Math.abs((await now()) - Date.now())).toBeLessThan(DAY_S * 500);
    const call = agent.call(waiting(lab, agent, pod, 'ADD'));
    await agent.until(() => reached(lab));
    clock.set(seconds);
    expect(Math.abs((await now()) - Date.now())).toBeGreaterThan(DAY_S * 500); // it has jumped
    letGo(lab);
    expect(await call).toMatchObject(OK);
    expect(await agent.call(waiting(lab, agent, pod, 'DEL'))).toMatchObject(OK);
    const { text } = await agent.ask('/metrics');
    const sum = Number(/^braid_call_seconds_sum\{plugin="multus",verb="ADD"\} (\S+)$/m.exec(text)?.[1]);
    expect(sum).toBeGreaterThan(0);
    expect(sum).toBeLessThan(DAY_S / 2);
    expect(agent.log).not.toContain('ends: ');
    expect(await agent.end()).toBe(0);
    expect(await nextAddress(lab)).toEqual(['10.5.0.1/24']);
  });
});

describe('an agent that is held for 10 s', () => {
  it('goes on where it was: calls of before and of meanwhile are served', async () => {
    await using lab = await Lab.open();
    await using agent = await Agent.start(lab);
    const pods = await Promise.all(Array.from({ length: 12 }, () => lab.pod()));
    const [first, ...others] = pods as [Pod, ...Pod[]];
    const before = agent.call(waiting(lab, agent, first, 'ADD'));
    await agent.until(() => reached(lab));
    const calls = others.slice(0, 6).map((pod) => agent.call(macvlan(lab, pod, 'ADD')));
    agent.signal('SIGSTOP');
    calls.push(...others.slice(6).map((pod) => agent.call(macvlan(lab, pod, 'ADD'))));
    await sleep(HELD_MS);
    agent.signal('SIGCONT');
    letGo(lab);
    expect((await Promise.all([before, ...calls])).filter(({ exitCode }) => exitCode !== 0)).toEqual([]);
    for (const pod of others) {
      expect(await linksOf(pod)).toContain('net1');
      expect(await agent.call(macvlan(lab, pod, 'DEL'))).toMatchObject(OK);
    }
    expect(await agent.call(waiting(lab, agent, first, 'DEL'))).toMatchObject(OK);
    expect(await nextAddress(lab)).toEqual(['10.5.0.1/24']);
  });

  it('and killed then: calls that it has not begun are done by the program beside the launcher', async () => {
    await using lab = await Lab.open();
    await using agent = await Agent.start(lab);
    const pods = await Promise.all(Array.from({ length: 4 }, () => lab.pod()));
    agent.signal('SIGSTOP');
    const calls = pods.map((pod) => agent.call(macvlan(lab, pod, 'ADD'), agent.installed));
    await agent.until(() => connectionsTo(agent) >= pods.length);
    await agent.end('SIGKILL');
    expect(await Promise.all(calls)).toMatchObject(pods.map(() => OK));
    await agent.start();
    for (const pod of pods) {
      expect(await linksOf(pod)).toContain('net1');
      expect(await agent.call(macvlan(lab, pod, 'DEL'))).toMatchObject(OK);
    }
    expect(await nextAddress(lab)).toEqual(['10.5.0.1/24']);
  });
});

describe('a container ID that leads elsewhere', () => {
  const IDS = ['..', '.', '../../x', 'a/../b', '/etc/passwd', '..\\x', 'x\n', '%2e%2e%2fx', '-rf'];

  it('touches nothing, in any verb', async () => {
    await using lab = await Lab.open();
    await using agent = await Agent.start(lab);
    const pod = await lab.pod();
    const conf = multus(lab, agent.launchers.bin, [network(lab)]);
    const before = readdirSync(lab.dir, { recursive: true }).toSorted();
    for (const containerId of IDS) {
      for (const verb of ['ADD', 'CHECK', 'DEL']) {
        const outcome = await agent.call({
          plugin: 'multus',
          verb,
          ifName: 'eth0',
          netns: pod.path,
          containerId,
          conf,
        });
        expect(outcome, `${verb} ${containerId}`).toMatchObject({ exitCode: 1, stderr: '' });
        expect(errorOf(outcome).code, `${verb} ${containerId}`).toBe(4);
      }
    }
    expect(readdirSync(lab.dir, { recursive: true }).toSorted()).toEqual(before);
    expect(await linksOf(pod)).toEqual(['lo']);
  });
});

describe('a pod that forges messages of the kernel', () => {
  it('misleads the agent in no call, and holds no other pod up; when it has ended, its own can go', async () => {
    await using lab = await Lab.open();
    await using agent = await Agent.start(lab);
    const [pod, other] = [await lab.pod(), await lab.pod()];
    const forger = spawn('ip', ['netns', 'exec', pod.name, 'python3', join(import.meta.dirname, 'forge.py')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let hasSent = false;
    forger.stdout.once('data', () => {
      hasSent = true;
    });
    const failed = new Set<string>();
    const demandTruth = async (verb: string, links: readonly string[]): Promise<void> => {
      const outcome = await agent.call(macvlan(lab, pod, verb));
      if (outcome.exitCode === 0) {
        expect(await linksOf(pod)).toEqual(links);
      } else {
        failed.add(`${verb}: ${errorOf(outcome).message}`);
      }
    };
    try {
      for (let round = 0; round < 8 || (!hasSent && round < 500); round++) {
        await demandTruth('ADD', ['lo', 'net1']);
        expect(await agent.call(macvlan(lab, other, 'ADD'))).toMatchObject(OK);
        await demandTruth('DEL', ['lo']);
        expect(await agent.call(macvlan(lab, other, 'DEL'))).toMatchObject(OK);
      }
      expect(hasSent).toBe(true);
    } finally {
      forger.kill('SIGKILL');
    }
    console.log([...failed].join('\n'));
    expect(await agent.call(macvlan(lab, pod, 'DEL'))).toMatchObject(OK);
    expect(await linksOf(pod)).toEqual(['lo']);
    expect(await agent.call(macvlan(lab, pod, 'ADD'))).toMatchObject(OK);
    expect(await linksOf(pod)).toEqual(['lo', 'net1']);
  });
});

/** Callers that have connected, accepted or not. All have the name that the socket was bound to, as has the one that listens. */
const connectionsTo = ({ socket, pid }: Agent): number =>
  readFileSync(`/proc/${pid}/net/unix`, 'utf8')
    .split('\n')
    .filter((line) => line.endsWith(` ${socket}.new`)).length - 1;
