import { chmodSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import { inParallel, type Outcome } from '../lab/execute.ts';
import { fake } from '../lab/fakes.ts';
import { Lab, type Pod } from '../lab/lab.ts';
import { errorOf } from '../lab/printed.ts';
import { type Call, OURS } from '../lab/programs.ts';
import { stateOf } from '../lab/state.ts';
import { Store } from '../lab/store.ts';
import { Agent } from './agent.ts';
import { chained, letGo, multus, network, reached, waits } from './networks.ts';
import { connectAs, exchange } from './sockets.ts';

const OK = { exitCode: 0 };
const NOBODY = 65_534;

const macvlan = (lab: Lab, pod: Pod, verb: string): Call => ({
  plugin: 'macvlan',
  verb,
  netns: pod.path,
  conf: network(lab),
});

/** A call of multus that waits in the middle, with a macvlan attached by then. */
function waiting(lab: Lab, agent: Agent, pod: Pod, verb: string): Call {
  const bin = agent.launchers.bin;
  const path = [fake(lab, 'waits', waits(lab)), ...agent.launchers.path];
  return {
    plugin: 'multus',
    verb,
    ifName: 'eth0',
    netns: pod.path,
    path,
    conf: multus(lab, bin, [chained(lab, 'waits')]),
  };
}

const linksOf = async (pod: Pod): Promise<readonly unknown[]> =>
  (await stateOf(pod.name)).links.map(({ ifname }) => ifname);

/** The next address of the range: 10.5.0.1 when nothing is held. */
const nextAddress = async (lab: Lab): Promise<readonly string[]> =>
  new Store(lab, { range: '10.5.0.0/24' }).add('probe');

describe('without an agent', () => {
  it('a launcher executes the standalone program beside it', async () => {
    await using lab = await Lab.open();
    const agent = Agent.of(lab);
    const pod = await lab.pod();
    expect(await agent.call(macvlan(lab, pod, 'ADD'), agent.installed)).toMatchObject(OK);
    expect(await linksOf(pod)).toContain('net1');
    expect(await agent.call(macvlan(lab, pod, 'DEL'), agent.installed)).toMatchObject(OK);
  });

  it('a launcher with nothing beside it says to try again later', async () => {
    await using lab = await Lab.open();
    const agent = Agent.of(lab);
    const outcome = await agent.call(macvlan(lab, await lab.pod(), 'ADD'));
    expect(outcome).toMatchObject({ exitCode: 1, stderr: '' });
    expect(errorOf(outcome)).toMatchObject({ code: 11, message: expect.stringContaining('/.braid/standalone') });
  });
});

describe('an agent that is killed in mid-call', () => {
  it('leaves its caller with code 11, and a pod that the next calls repair', async () => {
    await using lab = await Lab.open();
    await using agent = await Agent.start(lab);
    const pod = await lab.pod();
    const before = await linksOf(pod);
    const call = agent.call(waiting(lab, agent, pod, 'ADD'));
    await agent.until(() => reached(lab));
    await agent.end('SIGKILL');
    expect(errorOf(await call)).toMatchObject({ code: 11 });
    letGo(lab);
    await agent.start();
    expect(await agent.call(waiting(lab, agent, pod, 'DEL'))).toMatchObject(OK);
    expect(await linksOf(pod)).toEqual(before);
    expect(await agent.call(waiting(lab, agent, pod, 'ADD'))).toMatchObject(OK);
    expect(await agent.call(waiting(lab, agent, pod, 'DEL'))).toMatchObject(OK);
    expect(await nextAddress(lab)).toEqual(['10.5.0.1/24']);
  });
});

describe('a caller that is killed in mid-call', () => {
  it('has its call undone', async () => {
    await using lab = await Lab.open();
    await using agent = await Agent.start(lab);
    const pod = await lab.pod();
    const before = await linksOf(pod);
    let end: () => void = () => undefined;
    const call = agent.callFromOutside(waiting(lab, agent, pod, 'ADD'), (kill) => {
      end = kill;
    });
    await agent.until(() => reached(lab));
    end();
    expect(await call).toMatchObject({ signal: 'SIGKILL' });
    expect(await agent.end()).toBe(0); // it waits for the undoing
    expect(await linksOf(pod)).toEqual(before);
    expect(await nextAddress(lab)).toEqual(['10.5.0.1/24']);
  });
});

describe('an agent that is told to end', () => {
  it('finishes the call that is under way, and begins no other', async () => {
    await using lab = await Lab.open();
    await using agent = await Agent.start(lab);
    const pod = await lab.pod();
    const call = agent.call(waiting(lab, agent, pod, 'ADD'));
    await agent.until(() => reached(lab));
    const ended = agent.end();
    await agent.until(() => agent.log.includes('ends: ended by SIGTERM'));
    expect(errorOf(await agent.call(macvlan(lab, await lab.pod(), 'ADD')))).toMatchObject({ code: 11 });
    letGo(lab);
    expect(await call).toMatchObject(OK);
    expect(await ended).toBe(0);
  });

  it('lets another one take over under load: no call fails', async () => {
    await using lab = await Lab.open();
    await using agent = await Agent.start(lab);
    const store = new Store(lab, { range: '10.5.0.0/24' });
    const failed: Outcome[] = [];
    const calls = inParallel(
      Array.from({ length: 100 }, (_, index) => `c${index}`),
      6,
      async (containerId) => {
        for (const verb of ['ADD', 'DEL']) {
          const conf = { cniVersion: '1.1.0', name: 'n', type: 'whereabouts', ipam: network(lab)['ipam'] };
          const call = { plugin: 'whereabouts', verb, containerId, conf, netns: '/proc/1/ns/net' };
          const outcome = await agent.call(call, agent.installed);
          if (outcome.exitCode !== 0) {
            failed.push(outcome);
          }
        }
      },
    );
    await agent.start();
    expect(await agent.firstEnd()).toBe(0);
    rmSync(agent.socket); // noticed within seconds; meanwhile the standalone program is executed
    await agent.until(() => agent.log.includes('the socket was deleted'));
    await calls;
    expect(failed).toEqual([]);
    expect(await store.add('probe')).toEqual(['10.5.0.1/24']);
  });
});

describe('the socket that systemd passes', () => {
  it('brings the call that has started the agent', async () => {
    await using lab = await Lab.open();
    await using agent = Agent.of(lab);
    const pod = await lab.pod();
    await agent.startOnDemand();
    expect(agent.log).not.toContain('takes calls');
    expect(await agent.call(macvlan(lab, pod, 'ADD'))).toMatchObject(OK);
    expect(await agent.call(macvlan(lab, pod, 'DEL'))).toMatchObject(OK);
    expect(agent.log).toContain('takes calls');
    expect(await agent.end()).toBe(0);
  });
});

describe('many calls', () => {
  it('at once are all served: 200 addresses, none twice', async () => {
    await using lab = await Lab.open();
    await using agent = await Agent.start(lab);
    const conf = { cniVersion: '1.1.0', name: 'n', type: 'whereabouts', ipam: network(lab)['ipam'] };
    const all = Array.from({ length: 200 }, (_, index) => `c${index}`);
    const called = (verb: string) =>
      Promise.all(
        all.map((containerId) =>
          agent.callFromOutside({ plugin: 'whereabouts', verb, containerId, conf, netns: '/proc/1/ns/net' }),
        ),
      );
    const added = await called('ADD');
    expect(added.filter(({ exitCode }) => exitCode !== 0)).toEqual([]);
    expect(new Set(added.map(({ stdout }) => stdout)).size).toBe(200);
    expect((await called('DEL')).filter(({ exitCode }) => exitCode !== 0)).toEqual([]);
    expect(await nextAddress(lab)).toEqual(['10.5.0.1/24']);
  });

  it('leave no descriptor behind', async () => {
    await using lab = await Lab.open();
    await using agent = await Agent.start(lab);
    const pod = await lab.pod();
    const conf = { cniVersion: '1.1.0', name: 'n', type: 'whereabouts', ipam: network(lab)['ipam'] };
    const round = (verbs: readonly string[]) =>
      inParallel(verbs, 8, async (verb, index) => {
        const call = { plugin: 'whereabouts', verb, containerId: `c${index % 4}`, conf, netns: pod.path };
        expect(await agent.callFromOutside(call)).toMatchObject(OK);
      });
    const verbs = Array.from({ length: 500 }, (_, index) => (index % 2 === 0 ? 'DEL' : 'STATUS'));
    await round(verbs);
    const [before, memory] = [await agent.descriptors(), agent.memory.own];
    await round(verbs);
    console.log(`1,000 calls: ${memory.toFixed(0)} MiB after 500, ${agent.memory.own.toFixed(0)} after 1,000`);
    await agent.untilNoMore(before);
  });
});

describe('an agent', () => {
  it('survives whatever comes over its socket', async () => {
    await using lab = await Lab.open();
    await using agent = await Agent.start(lab);
    const header = Buffer.from('BRD1\x08\0\0\0\x02\0\0\0\0\0\0\0', 'latin1');
    const huge = Buffer.from(header);
    huge.writeUInt32LE(0xffff_ffff, 8);
    const pod = await lab.pod();
    expect(await agent.call(macvlan(lab, pod, 'ADD'))).toMatchObject(OK); // what the node keeps open is open
    expect(await agent.call(macvlan(lab, pod, 'DEL'))).toMatchObject(OK);
    const before = await agent.descriptors();
    const failing = Buffer.concat([header, Buffer.from('macvlan\0{}')]);
    const messages = [
      Buffer.alloc(0),
      Buffer.from('BRD'),
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      header,
      huge,
      failing,
      Buffer.concat([header, Buffer.from('macvlanx{}')]),
      Buffer.concat([header, Buffer.from('macvlan\0{}more')]),
      ...Array.from({ length: 100 }, () => randomBytes(1 + Math.floor(Math.random() * 200))),
    ];
    const answers = await Promise.all(
      messages.map(async (message) => ({
        message,
        answer: await exchange(agent.socket, message, message !== failing),
      })),
    );
    const answered = answers.filter(({ answer }) => answer.length > 0);
    expect(answered.map(({ message }) => message)).toEqual([failing]); // by an error of the plugin
    expect(answered[0]?.answer.toString('latin1', 0, 2)).toBe('BA');
    expect(await agent.call(macvlan(lab, pod, 'ADD'))).toMatchObject(OK);
    expect(await agent.call(macvlan(lab, pod, 'DEL'))).toMatchObject(OK);
    await agent.untilNoMore(before);
  });

  it('ends a caller who sends too slowly', async () => {
    await using lab = await Lab.open();
    await using agent = await Agent.start(lab);
    const begin = performance.now();
    await exchange(agent.socket, Buffer.from('BRD1'), false);
    expect(performance.now() - begin).toBeGreaterThan(5000);
    await agent.until(() => agent.log.includes('cannot serve a caller: it took longer than 10 s'));
  });

  it('refuses every user but root, wherever its socket is', async () => {
    await using lab = await Lab.open();
    await using agent = await Agent.start(lab);
    chmodSync(lab.dir, 0o755);
    expect(await connectAs(NOBODY, agent.socket)).toBe('EACCES');
    chmodSync(dirname(agent.socket), 0o755);
    expect(await connectAs(NOBODY, agent.socket)).toBe('EACCES');
    chmodSync(agent.socket, 0o666);
    expect(['closed', 'EPIPE', 'ECONNRESET']).toContain(await connectAs(NOBODY, agent.socket));
    await agent.until(() => agent.log.includes(`user ${NOBODY} may not call`));
  });

  it('does not listen in a folder that others may enter', async () => {
    await using lab = await Lab.open();
    const folder = lab.folder('open');
    chmodSync(folder, 0o755);
    const words = [`${OURS.bin}/braid`, 'agent', '--socket', `${folder}/agent.sock`];
    expect(await lab.execute(words)).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('others may enter it'),
    });
  });
});

function randomBytes(length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => Math.floor(Math.random() * 256)));
}
