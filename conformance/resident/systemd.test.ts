/** The units that `braid install --form resident` writes, under a real systemd. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { inParallel } from '../lab/execute.ts';
import { fake } from '../lab/fakes.ts';
import { Lab, type Pod } from '../lab/lab.ts';
import { errorOf } from '../lab/printed.ts';
import type { Call } from '../lab/programs.ts';
import { stateOf } from '../lab/state.ts';
import { chained, multus, network, reached, waits } from './networks.ts';
import { SERVICE, SOCKET, SystemdNode } from './systemd.ts';

const OK = { exitCode: 0 };
const PODS = 6;

const macvlan = (lab: Lab, pod: Pod, verb: string): Call => ({
  plugin: 'macvlan',
  verb,
  netns: pod.path,
  containerId: pod.name,
  conf: network(lab),
});

const linksOf = async ({ name }: Pod): Promise<readonly unknown[]> =>
  (await stateOf(name)).links.map(({ ifname }) => ifname);

/** A node on which the launchers are installed, and pods. */
const onNode = (test: (node: SystemdNode, pods: readonly Pod[]) => Promise<void>) => async () => {
  await using lab = await Lab.open();
  const pods = await Promise.all(Array.from({ length: PODS }, () => lab.pod()));
  await using node = await SystemdNode.boot(lab);
  expect(await node.install()).toMatchObject(OK);
  await test(node, pods);
};

const attachAndDetach = async (node: SystemdNode, pod: Pod): Promise<void> => {
  for (const verb of ['ADD', 'DEL']) {
    const outcome = await node.call(macvlan(node.lab, pod, verb));
    expect(outcome, `${verb}: ${outcome.stdout}`).toMatchObject(OK);
  }
  expect(await linksOf(pod)).not.toContain('net1');
};

it(
  'systemd listens at once, and from the next boot on; the first call starts the agent',
  onNode(async (node, [pod]) => {
    const works = async (): Promise<void> => {
      expect(await node.property('ActiveState', SOCKET)).toBe('active');
      expect(await node.property('ActiveState')).toBe('inactive');
      const modes = await node.execute(['stat', '-c', '%a %U', '/run/braid', '/run/braid/agent.sock']);
      expect(modes.stdout).toBe('700 root\n600 root\n');
      await attachAndDetach(node, pod as Pod);
      expect(await node.property('ActiveState')).toBe('active');
      expect(await node.served()).toBe(2);
      const { stdout } = await node.braid(`doctor --cri none --json --bin ${node.bin} --conf-dir ${node.units}`);
      expect(JSON.parse(stdout)).toEqual([]);
    };
    await works();
    await node.bootAgain();
    await works();
  }),
);

it(
  'an agent that is killed is there again, and its caller is told to try again',
  onNode(async (node, [pod]) => {
    const { lab } = node;
    const path = [fake(lab, 'waits', waits(lab)), node.bin];
    const conf = multus(lab, node.bin, [chained(lab, 'waits')]);
    const call = (verb: string): Call => ({ ...macvlan(lab, pod as Pod, verb), plugin: 'multus', path, conf });
    const lost = node.call({ ...call('ADD'), ifName: 'eth0' });
    await node.until('the call', async () => reached(lab));
    await node.kill();
    expect(errorOf(await lost)).toMatchObject({ code: 11 });
    expect(await node.call({ ...call('DEL'), ifName: 'eth0' })).toMatchObject(OK);
    expect(await linksOf(pod as Pod)).not.toContain('net1');
    await attachAndDetach(node, pod as Pod);
    expect(await node.property('NRestarts')).toBe('1');
    expect(await node.served()).toBe(3);
  }),
);

it(
  'is restarted again and again under load: no call fails, and none leaves anything',
  onNode(async (node, pods) => {
    const restarts = 4;
    let isLoaded = true;
    const load = inParallel(pods, PODS, async (pod) => {
      while (isLoaded) {
        await attachAndDetach(node, pod);
      }
    });
    try {
      for (let restart = 0; restart < restarts; restart++) {
        const before = await node.property('MainPID');
        await node.systemctl(`restart ${SERVICE}`);
        await node.until('calls of the next one', async () => (await node.served()) > 0);
        expect(await node.property('MainPID')).not.toBe(before);
      }
    } finally {
      isLoaded = false;
      await load;
    }
    expect(await node.property('Result')).toBe('success');
  }),
);

it(
  'an agent that cannot start keeps no call up: launchers do without, until it is installed again',
  onNode(async (node, [pod]) => {
    const broken = join(node.units, `${SERVICE}.d`);
    mkdirSync(broken);
    writeFileSync(
      join(broken, 'broken.conf'),
      '[Unit]\nStartLimitIntervalSec=600\n[Service]\nExecStart=\nExecStart=/bin/false\n',
    );
    await node.systemctl('daemon-reload');
    await attachAndDetach(node, pod as Pod);
    expect(await node.property('ActiveState')).toBe('failed');
    expect(await node.property('ActiveState', SOCKET)).toBe('failed');
    expect((await node.execute(['ls', '/run/braid'])).stdout).toBe('');
    await node.execute(['rm', '-r', broken]);
    expect(await node.install()).toMatchObject(OK);
    await attachAndDetach(node, pod as Pod);
    expect(await node.served()).toBe(2);
  }),
);

it(
  'uninstall ends the agent when its calls have ended, and has systemd forget it',
  onNode(async (node, [pod]) => {
    await attachAndDetach(node, pod as Pod);
    const folders = `--cache-dir ${node.lab.folder('cache')} --conf-dir ${node.lab.folder('net.d')}`;
    expect(await node.braid(`uninstall --bin ${node.bin} ${folders}`)).toMatchObject(OK);
    for (const unit of [SOCKET, SERVICE]) {
      expect([unit, await node.property('LoadState', unit)]).toEqual([unit, 'not-found']);
    }
    expect(readdirSync(node.units)).toEqual([]);
    expect((await node.execute(['ls', '/run/braid'])).stdout).toBe('');
  }),
);
