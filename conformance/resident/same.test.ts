import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { execute, type Outcome } from '../lab/execute.ts';
import { Lab, type Pod } from '../lab/lab.ts';
import { type Call, envOf, OURS, PLUGINS, STANDALONE, VERSIONS } from '../lab/programs.ts';
import { comparable, filesIn, stateOf } from '../lab/state.ts';
import { Agent, RESIDENT } from './agent.ts';
import { multus, network } from './networks.ts';

/** Everything that a call does, in one form. */
type Caller = (call: Call) => Promise<Outcome>;

const MAC = /([0-9a-f]{2}:){5}[0-9a-f]{2}/g;

/** Hardware addresses are random. */
const plain = ({ stdout, ...outcome }: Outcome) => ({ ...outcome, stdout: stdout.replaceAll(MAC, 'a MAC') });

/** What the verbs print and leave, one after another, in a new pod of always the same name. */
async function story(lab: Lab, caller: Caller, call: Omit<Call, 'verb'>): Promise<readonly unknown[]> {
  const pod = await lab.pod({ name: `${lab.node}-pod` });
  const told: unknown[] = [];
  const picture = async () => ({
    pod: comparable(await stateOf(pod.name)),
    node: comparable(await stateOf(lab.node)),
    multus: Object.keys(filesIn(join(lab.dir, 'multus'))),
  });
  let conf = call.conf as Record<string, unknown>;
  for (const verb of ['ADD', 'CHECK', 'STATUS', 'DEL', 'DEL']) {
    const outcome = await caller({ ...call, conf, verb, netns: pod.path });
    told.push(verb, plain(outcome), await picture());
    expect(outcome, `${verb}: ${outcome.stdout}`).toMatchObject({ exitCode: 0 });
    if (verb === 'ADD') {
      conf = { ...conf, prevResult: JSON.parse(outcome.stdout) as unknown };
    }
  }
  await lab.remove(pod as Pod);
  return told;
}

async function demandSame(callOf: (lab: Lab, bin: string) => Omit<Call, 'verb'>): Promise<void> {
  await using lab = await Lab.open();
  await using agent = await Agent.start(lab);
  mkdirSync(join(lab.dir, 'multus'));
  const resident = await story(lab, (call) => agent.call(call), callOf(lab, agent.launchers.bin));
  const standalone = await story(lab, (call) => lab.call(call), callOf(lab, OURS.bin));
  expect(resident).toEqual(standalone);
}

describe('a launcher', () => {
  it('attaches a macvlan with addresses as the standalone program does', () =>
    demandSame((lab) => ({ plugin: 'macvlan', conf: network(lab) })));

  it('attaches three networks of multus as the standalone program does', () =>
    demandSame((lab, bin) => ({
      plugin: 'multus',
      ifName: 'eth0',
      conf: multus(
        lab,
        bin,
        [0, 1, 2].map((index) => network(lab, index)),
      ),
    })));

  it.each(VERSIONS)('prints the result of version %s byte for byte', async (cniVersion) => {
    await using lab = await Lab.open();
    await using agent = await Agent.start(lab);
    const call = { plugin: 'whereabouts', verb: 'ADD', netns: '/proc/1/ns/net', conf: { ...network(lab), cniVersion } };
    const resident = await agent.call(call);
    await agent.call({ ...call, verb: 'DEL' });
    expect(resident).toEqual(await lab.call(call));
  });

  it('reports what is wrong with a call byte for byte', async () => {
    await using lab = await Lab.open();
    await using agent = await Agent.start(lab);
    const good: Call = { plugin: 'macvlan', verb: 'ADD', netns: '/proc/1/ns/net', conf: network(lab) };
    const calls: readonly Call[] = [
      { ...good, conf: 'nothing' },
      { ...good, conf: '' },
      { ...good, conf: { ...network(lab), master: 'nobody' } },
      { ...good, containerId: '../x' },
      { ...good, netns: '/run/netns/nobody' },
      { ...good, netns: '/etc/hostname' },
      { ...good, netns: `/run/netns/${lab.node}` },
      { ...good, verb: 'DANCE' },
      { ...good, env: { CNI_COMMAND: undefined } },
      { ...good, env: { CNI_IFNAME: undefined, CNI_PATH: undefined } },
      { ...good, verb: 'GC' },
    ];
    for (const call of calls) {
      const isTaken = ['ADD', 'GC'].includes(call.verb) && !('CNI_COMMAND' in (call.env ?? {}));
      const outcome = await agent.call(call, isTaken ? agent.launchers : agent.installed);
      expect(outcome, JSON.stringify(call)).toEqual(await lab.call(call));
    }
  });

  it.each(PLUGINS)('of %s answers VERSION without an agent', async (plugin) => {
    const call = { plugin, verb: 'VERSION', conf: '' };
    const [launcher, standalone] = await Promise.all(
      [RESIDENT, STANDALONE].map((folder) => execute([join(folder, plugin)], { env: envOf(OURS, call) })),
    );
    expect(launcher).toEqual(standalone);
  });

  it('passes the namespace that it has opened: the agent need not see the path', async () => {
    await using lab = await Lab.open();
    await using agent = await Agent.start(lab);
    const pod = await lab.pod();
    const hidden = join(lab.folder('hidden'), 'netns');
    const script = 'mount -t tmpfs none "$0" && touch "$0/netns" && mount --bind "$1" "$0/netns" && exec "$2"';
    const words = ['unshare', '-m', '--propagation', 'slave', 'sh', '-c', script, lab.folder('hidden'), pod.path];
    const call = { plugin: 'macvlan', verb: 'ADD', netns: hidden, conf: network(lab) };
    const outcome = await execute([...words, join(agent.launchers.bin, 'macvlan')], {
      env: { ...envOf(agent.launchers, call), BRAID_AGENT: agent.socket },
      stdin: JSON.stringify(call.conf),
    });
    expect(JSON.parse(outcome.stdout)).toMatchObject({ interfaces: [{ name: 'net1', sandbox: hidden }] });
    expect((await stateOf(pod.name)).links.map(({ ifname }) => ifname)).toContain('net1');
  });
});
