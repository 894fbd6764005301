import { describe, expect, it } from 'vitest';
import type { Outcome } from '../../../lab/execute.ts';
import { errorOf } from '../../../lab/printed.ts';
import { VERSIONS } from '../../../lab/programs.ts';
import { network } from '../../../resident/networks.ts';
import { POD, plain, Thick } from './thick.ts';

const OK = { exitCode: 0 };

type Caller = (thick: Thick, call: Parameters<Thick['shim']>[0]) => Promise<Outcome>;

const byShim: Caller = (thick, call) => thick.shim(call);
const byPlugin: Caller = (thick, call) => thick.direct(call);

/** What the verbs print and leave, one after another, in a new pod of always the same name. */
async function story(thick: Thick, caller: Caller, conf: object): Promise<readonly unknown[]> {
  const { lab } = thick;
  const pod = await lab.pod({ name: `${lab.node}-pod` });
  const told: unknown[] = [];
  let prevResult: unknown;
  for (const verb of ['ADD', 'CHECK', 'STATUS', 'GC', 'DEL', 'DEL']) {
    const valid = verb === 'GC' ? { 'cni.dev/valid-attachments': [{ containerID: 'c1', ifname: 'eth0' }] } : {};
    const outcome = await caller(thick, { verb, netns: pod.path, conf: { ...conf, prevResult, ...valid } });
    expect(outcome, `${verb}: ${outcome.stdout} ${outcome.stderr}`).toMatchObject(OK);
    prevResult = verb === 'ADD' ? (JSON.parse(outcome.stdout) as unknown) : prevResult;
    told.push(verb, outcome.exitCode, plain(outcome.stdout), await thick.everything(pod));
  }
  await lab.remove(pod);
  return told;
}

const multus = (thick: Thick, networks: number, cniVersion = '1.1.0') => ({
  cniVersion,
  name: 'node',
  delegates: Array.from({ length: networks }, (_, index) => ({ ...network(thick.lab, index), cniVersion })),
});

/** How the shim's own messages begin, with what the agent puts in front of ours. */
const WORDS = {
  ADD: /^CmdAdd \(shim\): CNI request failed with status 400: 'ContainerID:.* ERRORED: error configuring pod \[lab\/web-0\] networking: /,
  CHECK: /^CmdCheck \(shim\): CNI request failed with status 400: 'ContainerID:[^[]* ERRORED: /,
  STATUS: /^CmdStatus \(shim\): /,
};

describe('multus-shim of Go', () => {
  it.each([1, 3])('attaches %i networks through the agent as our plugin does', async (networks) => {
    await using thick = await Thick.open();
    const conf = multus(thick, networks);
    expect(await story(thick, byShim, conf)).toEqual(await story(thick, byPlugin, conf));
  });

  it('prints results of every version byte for byte, and says which it speaks', async () => {
    await using thick = await Thick.open();
    const pod = await thick.lab.pod();
    for (const cniVersion of VERSIONS) {
      const conf = multus(thick, 1, cniVersion);
      const [shim, direct] = [await added(byShim), await added(byPlugin)];
      expect(shim, cniVersion).toEqual(direct);

      async function added(caller: Caller) {
        const outcome = await caller(thick, { verb: 'ADD', netns: pod.path, conf });
        expect(await caller(thick, { verb: 'DEL', netns: pod.path, conf })).toMatchObject(OK);
        return { ...outcome, stdout: plain(outcome.stdout) };
      }
    }
    const version: Parameters<Thick['shim']>[0] = { verb: 'VERSION', conf: {} };
    expect(await thick.shim(version)).toMatchObject({ ...OK, stdout: (await thick.direct(version)).stdout });
  });

  it('tells of failures in the words of our plugin', async () => {
    await using thick = await Thick.open();
    const pod = await thick.lab.pod();
    const good = multus(thick, 1);
    const calls: readonly Parameters<Thick['shim']>[0][] = [
      { verb: 'ADD', netns: pod.path, conf: { ...good, delegates: [{ ...network(thick.lab), master: 'nobody' }] } },
      { verb: 'ADD', netns: pod.path, conf: { ...good, delegates: [{ ...network(thick.lab), type: 'nobody' }] } },
      { verb: 'ADD', netns: pod.path, conf: { ...good, delegates: [] } },
      { verb: 'ADD', netns: '/run/netns/nobody', conf: good },
      { verb: 'CHECK', netns: pod.path, conf: { ...good, prevResult: { cniVersion: '1.1.0' } } },
      { verb: 'STATUS', conf: { ...good, delegates: [{ ...network(thick.lab), master: 'nobody' }] } },
    ];
    for (const call of calls) {
      const before = await thick.everything(pod);
      const { message } = errorOf(await thick.direct(call));
      const outcome = await thick.shim(call);
      expect(outcome.exitCode).toBe(1);
      expect(errorOf(outcome).message).toMatch(WORDS[call.verb as keyof typeof WORDS]);
      expect(errorOf(outcome).message).toContain(message);
      expect(await thick.everything(pod)).toEqual(before);
    }
  });

  it('waits for an agent that is not there yet; its DEL does not', async () => {
    await using thick = await Thick.open();
    const pod = await thick.lab.pod();
    const conf = multus(thick, 1);
    expect(await thick.agent.end()).toBe(0);
    expect(await thick.shim({ verb: 'DEL', netns: pod.path, conf })).toMatchObject(OK);
    const adding = thick.shim({ verb: 'ADD', netns: pod.path, conf });
    await thick.agent.start();
    expect(await adding).toMatchObject(OK);
    expect(await thick.shim({ verb: 'DEL', netns: pod.path, conf })).toMatchObject(OK);
    expect(await thick.linksOf(pod)).toEqual(['lo']);
  });

  it('has the keys of daemon-config.json over those of its configuration', async () => {
    await using thick = await Thick.open({ logLevel: 'verbose', logToStderr: true });
    const pod = await thick.lab.pod();
    const conf = { ...multus(thick, 1), cniDir: '/nowhere', binDir: '/nowhere', logLevel: 'panic' };
    expect(await thick.shim({ verb: 'ADD', netns: pod.path, conf })).toMatchObject(OK);
    await thick.agent.until(() => thick.agent.log.includes('[verbose] Add: lab:web-0:u1:rail-0(rail-0):eth0 {'));
    expect((await thick.everything(pod)).files.map(([name]) => name)).toEqual(['c1', 'results/rail-0-c1-eth0']);
    expect(await thick.shim({ verb: 'DEL', netns: pod.path, conf })).toMatchObject(OK);
  });

  it('is served one at a time where connectionLimit says so, and nobody is refused', async () => {
    await using thick = await Thick.open({ connectionLimit: 1 });
    const pods = await Promise.all(Array.from({ length: 6 }, () => thick.lab.pod()));
    for (const verb of ['ADD', 'DEL']) {
      const outcomes = await Promise.all(
        pods.map((pod, index) =>
          thick.shim({
            verb,
            netns: pod.path,
            containerId: `c${index}`,
            args: POD.replace('web-0', `web-${index}`),
            conf: multus(thick, 1),
          }),
        ),
      );
      expect(outcomes.filter(({ exitCode }) => exitCode !== 0)).toEqual([]);
      const addresses = outcomes.flatMap(({ stdout }) => stdout.match(/10\.5\.0\.\d+/g) ?? []);
      expect(new Set(addresses).size).toBe(verb === 'ADD' ? 6 : 0);
    }
  });
});
