/** DEL whose CNI_NETNS no longer leads to the pod: an address is free only when its link or its namespace is gone. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { mustRun, type Outcome } from '../lab/execute.ts';
import { answer, fake, RECORD, recordedVerbs } from '../lab/fakes.ts';
import { PARENT, type Pod } from '../lab/lab.ts';
import { errorOf } from '../lab/printed.ts';
import { OURS } from '../lab/programs.ts';
import type { Entry } from '../lab/state.ts';
import { OK } from './storm.ts';
import { type Container, interfacesIn, StormNode } from './storm-node.ts';

/** A process in a pod, which keeps its namespace alive whatever becomes of the mount. */
class Inhabitant implements AsyncDisposable {
  private readonly child: ChildProcess;
  readonly path: string;

  private constructor(child: ChildProcess) {
    this.child = child;
    this.path = `/proc/${child.pid}/ns/net`;
  }

  static async of(pod: Pod): Promise<Inhabitant> {
    const child = spawn('nsenter', [`--net=${pod.path}`, 'sh', '-c', 'echo in; exec sleep infinity'], {
      stdio: 'pipe',
    });
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    return new Inhabitant(child);
  }

  /** Names of the interfaces where the process is. */
  async interfaces(): Promise<readonly string[]> {
    const links = JSON.parse(await mustRun(['nsenter', `--net=${this.path}`, 'ip', '-j', 'link'])) as readonly Entry[];
    return links.map(({ ifname }) => String(ifname));
  }

  async end(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const ended = new Promise((resolve) => this.child.once('exit', resolve));
      this.child.kill('SIGKILL');
      await ended;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }
}

/** The mount goes, whoever looks through it at that moment; its file stays, as after a mount namespace was lost. */
async function loseMount({ path }: Pod): Promise<void> {
  await mustRun(['umount', '--lazy', path]);
  expect(existsSync(path)).toBe(true);
}

/** A pod that will lose its path, and another one. */
async function prepared(node: StormNode) {
  const lone = { conf: node.macvlan(0), containerId: 'c1', pod: await node.lab.pod() };
  const next = { conf: node.macvlan(0), containerId: 'c2', pod: await node.pod() };
  return { lone, next };
}

interface Attached {
  readonly conf: object;
  readonly containerId: string;
  readonly pod: Pod;
  readonly ifName?: string;
  /** CNI_PATH */
  readonly path?: readonly string[];
}

const call = (
  node: StormNode,
  verb: string,
  { conf, containerId, pod, ifName = 'net1', path = OURS.path }: Attached,
  more: object = {},
  netns = pod.path,
) => node.plugin(verb, { ...conf, ...more }, { netns, containerId, ifName, path });

async function added(node: StormNode, attached: Attached, netns?: string): Promise<Result> {
  const outcome = await call(node, 'ADD', attached, {}, netns);
  expect(outcome).toMatchObject(OK);
  return JSON.parse(outcome.stdout) as Result;
}

interface Result {
  readonly interfaces: readonly { readonly mac: string }[];
  readonly ips: readonly { readonly address: string }[];
}

const addressOf = ({ ips }: Result): string => ips[0]?.address ?? '';

const succeeded = (outcome: Outcome): void => expect(outcome).toMatchObject({ ...OK, stdout: '' });

describe.concurrent('DEL when the mount of a living pod is lost', () => {
  it.each([
    { what: 'macvlan', make: (node: StormNode) => node.macvlan(0) },
    { what: 'host-device', make: (node: StormNode) => node.hostDevice(0) },
  ])('takes the interface away where the pod is: $what with prevResult', async ({ make }) => {
    await using node = await StormNode.open(2);
    const { lone, next } = await prepared(node);
    const before = await node.everything();
    const attached = { ...lone, conf: make(node) };
    await using process = await Inhabitant.of(lone.pod);
    const prevResult = await added(node, attached);
    await loseMount(lone.pod);
    succeeded(await call(node, 'DEL', attached, { prevResult }));
    expect(await process.interfaces()).toEqual(['lo']);
    await node.expectAsBefore(before);
    expect(addressOf(await added(node, { ...next, conf: make(node) }))).toBe(addressOf(prevResult));
  });

  it('takes the device away where the pod is: host-device without prevResult', async () => {
    await using node = await StormNode.open(2);
    const { lone } = await prepared(node);
    const before = await node.everything();
    const attached = { ...lone, conf: node.hostDevice(0) };
    await using process = await Inhabitant.of(lone.pod);
    await added(node, attached);
    await loseMount(lone.pod);
    succeeded(await call(node, 'DEL', attached));
    expect(await process.interfaces()).toEqual(['lo']);
    await node.expectAsBefore(before);
  });

  it('takes all networks of multus away where the pod is', async () => {
    await using node = await StormNode.open(2);
    const { lone } = await prepared(node);
    const before = await node.everything();
    const container: Container = { id: 'c1', pod: lone.pod, networks: ['m0', 'd0', 'm1', 'd1'] };
    await using process = await Inhabitant.of(lone.pod);
    await node.must('ADD', container);
    await loseMount(lone.pod);
    await node.must('DEL', container);
    expect(await process.interfaces()).toEqual(['lo']);
    await node.expectAsBefore(before);
  });

  it('takes all networks of multus away when GC names no containers', async () => {
    await using node = await StormNode.open(2);
    const { lone } = await prepared(node);
    const before = await node.everything();
    const container: Container = { id: 'c1', pod: lone.pod, networks: ['m0', 'd0', 'm1', 'd1'] };
    await using process = await Inhabitant.of(lone.pod);
    await node.must('ADD', container);
    await loseMount(lone.pod);
    await node.must('GC', container, { more: { 'cni.dev/valid-attachments': [] }, netns: '' });
    expect(await process.interfaces()).toEqual(['lo']);
    await node.expectAsBefore(before);
  });

  it('takes the interface away where the pod is, though others have one of that name: macvlan without prevResult', async () => {
    await using node = await StormNode.open(2);
    const { lone, next } = await prepared(node);
    const before = await node.everything();
    await using process = await Inhabitant.of(lone.pod);
    const prevResult = await added(node, lone);
    const theirs = await added(node, next);
    await loseMount(lone.pod);
    succeeded(await call(node, 'DEL', lone));
    expect(await process.interfaces()).toEqual(['lo']);
    expect(await call(node, 'CHECK', next, { prevResult: theirs })).toMatchObject(OK);
    succeeded(await call(node, 'DEL', next));
    await node.expectAsBefore(before);
    expect(addressOf(await added(node, next))).toBe(addressOf(prevResult));
  });

  it('gives the address back when the pod has ended, though others have an interface of that name', async () => {
    await using node = await StormNode.open(2);
    const { lone, next } = await prepared(node);
    const process = await Inhabitant.of(lone.pod);
    const prevResult = await added(node, lone);
    const theirs = await added(node, next);
    await loseMount(lone.pod);
    await process.end();
    succeeded(await call(node, 'DEL', lone));
    expect(await call(node, 'CHECK', next, { prevResult: theirs })).toMatchObject(OK);
    expect(addressOf(await added(node, { ...lone, pod: await node.pod() }))).toBe(addressOf(prevResult));
  });

  it('finds an interface that the Go plugin made by the address that is kept for it', async () => {
    await using node = await StormNode.open(2);
    const { lone, next } = await prepared(node);
    const before = await node.everything();
    await using process = await Inhabitant.of(lone.pod);
    await added(node, lone);
    await added(node, next);
    await node.lab.ip(lone.pod.name, 'link set net1 alias unmarked');
    await node.lab.ip(next.pod.name, 'link set net1 alias unmarked');
    await loseMount(lone.pod);
    succeeded(await call(node, 'DEL', lone));
    expect(await process.interfaces()).toEqual(['lo']);
    expect(await interfacesIn(next.pod)).toEqual(['lo', 'net1']);
    succeeded(await call(node, 'DEL', next));
    await node.expectAsBefore(before);
  });

  it('keeps the address while nothing proves where the pod is, and says so', async () => {
    await using node = await StormNode.open(2);
    const { lone: some } = await prepared(node);
    const result = { cniVersion: '1.1.0', ips: [{ address: '10.9.0.1/24' }] };
    const folder = fake(node.lab, 'secretive', `${RECORD}\n${answer(result)}`);
    const conf = { ...node.macvlan(0), ipam: { type: 'secretive' } };
    const ifName = `n${some.pod.name.slice(-13, -5)}`; // any pod of the machine with such an interface could be it
    const lone = { ...some, conf, ifName, path: [folder, ...OURS.path] };
    await using process = await Inhabitant.of(lone.pod);
    await added(node, lone);
    await node.lab.ip(lone.pod.name, `link set ${ifName} alias unmarked`);
    await loseMount(lone.pod);
    const error = errorOf(await call(node, 'DEL', lone));
    expect(error.message).toMatch(/cannot tell whether the pod .* lives.*stay reserved/s);
    expect(await process.interfaces()).toEqual(['lo', lone.ifName]);
    expect(recordedVerbs(node.lab)).toEqual(['ADD']);
    await process.end();
    succeeded(await call(node, 'DEL', lone));
    expect(recordedVerbs(node.lab)).toEqual(['ADD', 'DEL']);
  });
});

describe.concurrent('DEL when a new pod has come to the path of a dead one', () => {
  const layer2 = (node: StormNode): object => ({ ...node.macvlan(0), ipam: undefined });

  it.each([
    { what: 'no addresses in prevResult', make: layer2, hasResult: true },
    { what: 'no addresses and no prevResult', make: layer2, hasResult: false },
    { what: 'no prevResult', make: (node: StormNode) => node.macvlan(0), hasResult: false },
  ])('leaves its interface: $what', async ({ make, hasResult }) => {
    await using node = await StormNode.open(1);
    const name = `${node.lab.node}-again`;
    const dead = { conf: make(node), containerId: 'c1', pod: await node.lab.pod({ name }) };
    const prevResult = await added(node, dead);
    await node.lab.remove(dead.pod);
    const heir = { ...dead, containerId: 'c2', pod: await node.lab.pod({ name }) };
    const theirs = await added(node, heir);
    succeeded(await call(node, 'DEL', dead, hasResult ? { prevResult } : {}));
    expect(await call(node, 'CHECK', heir, { prevResult: theirs })).toMatchObject(OK);
    succeeded(await call(node, 'DEL', heir, hasResult ? { prevResult: theirs } : {}));
    expect(await interfacesIn(heir.pod)).toEqual(['lo']);
    expect(await node.taken()).toEqual([]);
  });
});

describe.concurrent('DEL when CNI_NETNS leads elsewhere', () => {
  /** How a path comes to lead to what was never the container's. */
  const elsewhere: readonly {
    readonly what: string;
    readonly path: (node: StormNode, other: Pod, process: Inhabitant) => string;
  }[] = [
    { what: 'to the node itself', path: ({ lab }) => `/run/netns/${lab.node}` },
    { what: 'to another pod', path: (_, other) => other.path },
    { what: "to another pod's process", path: (_, _other, process) => process.path },
  ];
  const plugins = [
    { plugin: 'macvlan', make: (node: StormNode) => node.macvlan(0), other: (node: StormNode) => node.macvlan(1) },
    {
      plugin: 'host-device',
      make: (node: StormNode) => node.hostDevice(0),
      other: (node: StormNode) => node.hostDevice(1),
    },
  ];

  it.each(
    elsewhere.flatMap((one) =>
      plugins.flatMap((plugin) => [true, false].map((isAlive) => ({ ...one, ...plugin, isAlive }))),
    ),
  )('$what: $plugin, the pod is alive: $isAlive', async ({ path, make, other, isAlive }) => {
    await using node = await StormNode.open(2);
    const { lone, next } = await prepared(node);
    await node.lab.ip(node.lab.node, `link add net1 link ${PARENT} type macvlan`); // the node has one of that name, too
    const attached = { ...lone, conf: make(node) };
    const foreign = { ...next, conf: other(node) };
    await using process = await Inhabitant.of(next.pod);
    const prevResult = await added(node, attached);
    const theirs = await added(node, foreign);
    const podOfTheirs = await interfacesIn(next.pod);
    if (!isAlive) {
      await node.lab.remove(lone.pod);
    }
    succeeded(await call(node, 'DEL', attached, { prevResult }, path(node, next.pod, process)));
    if (isAlive) {
      expect(await interfacesIn(lone.pod)).toEqual(['lo']);
    }
    expect(await interfacesIn(next.pod)).toEqual(podOfTheirs);
    expect(await node.lab.ip(node.lab.node, '-o link show net1')).toContain('net1');
    expect(await call(node, 'CHECK', foreign, { prevResult: theirs })).toMatchObject(OK);
    expect(await node.taken()).toHaveLength(1);
  });
});

describe.concurrent('multus, when the namespace of a pod is another pod by now', () => {
  const steps = [
    { verb: 'DEL', more: {} },
    { verb: 'GC', more: { 'cni.dev/valid-attachments': [{ containerID: 'c2', ifname: 'eth0' }] } },
  ] as const;

  it.each(steps)('$verb succeeds and touches nothing of it', async ({ verb, more }) => {
    await using node = await StormNode.open(2);
    const name = `${node.lab.node}-again`;
    const pod = await node.lab.pod({ name });
    const dead: Container = { id: 'c1', pod, networks: ['m0', 'm1'] };
    await node.must('ADD', dead);
    await node.lab.remove(pod);
    const again = await node.lab.pod({ name });
    const heir: Container = { id: 'c2', pod: again, networks: ['m2', 'd0', 'm0'] };
    await node.must('ADD', heir);
    await node.must(verb, dead, { more, netns: verb === 'GC' ? '' : pod.path });
    expect(await interfacesIn(again)).toHaveLength(4);
    await node.must('CHECK', heir);
    expect(await node.taken()).toHaveLength(3);
  });
});
