/** The built ipvlan on a kernel that has ipvlan. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { doesWhatItSays } from '../../../contract/example-tests.ts';
import { answer, fake } from '../../../lab/fakes.ts';
import { Lab, PARENT, PARENT_MAC, type Pod } from '../../../lab/lab.ts';
import { errorOf } from '../../../lab/printed.ts';
import { OURS, ROOT } from '../../../lab/programs.ts';
import { refuse } from '../../../lab/refuse.ts';
import { IS_RESIDENT } from '../../../lab/resident.ts';
import { addressTexts, linkOf, MARK, type NetnsState, stateOf } from '../../../lab/state.ts';
import { killAfterEach, killedAfter } from '../../../lab/steps.ts';
import { CARD, untilCarrier } from '../../../vm/cards.ts';
import { type Network, Node } from '../../../vm/node.ts';
import { reaches } from '../../../vm/ping.ts';
import { Wire } from '../../../vm/wire.ts';
import { BAD_FOR_THE_KERNEL, ipvlan } from '../bad.ts';
import { EXAMPLES } from '../examples.ts';

const OK = { exitCode: 0, stdout: '' };
const at = (address: string) => ({ ipam: { type: 'static', addresses: [{ address }] } });

type Result = Readonly<Record<string, unknown>>;

/** A pod on a node with a parent, and calls for it. */
class Attachments implements AsyncDisposable {
  readonly lab: Lab;
  readonly pod: Pod;

  private constructor(lab: Lab, pod: Pod) {
    this.lab = lab;
    this.pod = pod;
  }

  static async open(podOptions = {}): Promise<Attachments> {
    const lab = await Lab.open();
    return new Attachments(lab, await lab.pod(podOptions));
  }

  call(verb: string, conf: object, { ifName = 'net1', pod = this.pod, containerId = 'c1', env = {} } = {}) {
    return this.lab.call({ verb, plugin: 'ipvlan', conf: ipvlan(conf), netns: pod.path, containerId, ifName, env });
  }

  async add(conf: object, options: Parameters<Attachments['call']>[2] = {}): Promise<Result> {
    const outcome = await this.call('ADD', conf, options);
    expect(outcome).toMatchObject({ exitCode: 0 });
    return JSON.parse(outcome.stdout) as Result;
  }

  state(): Promise<NetnsState> {
    return stateOf(this.pod.name);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.lab[Symbol.asyncDispose]();
  }
}

/** A real card that is up, the far end of its wire, and a pod that gets an ipvlan on it. */
class CardOnWire implements AsyncDisposable {
  readonly node: Node;
  readonly wire: Wire;
  readonly pod: Pod;
  private network: Network = { name: 'wired', cniVersion: '1.1.0', plugins: [] };

  private constructor(node: Node, wire: Wire, pod: Pod) {
    this.node = node;
    this.wire = wire;
    this.pod = pod;
  }

  static async open(): Promise<CardOnWire> {
    const node = Node.open();
    const wire = await Wire.open(node);
    await node.ip(`link set ${CARD.link} up`);
    await untilCarrier(CARD.link);
    return new CardOnWire(node, wire, await node.pod());
  }

  async attach(mode: string, more: object): Promise<void> {
    this.network = { ...this.network, plugins: [{ type: 'ipvlan', master: CARD.link, mode, ...more }] };
    await this.run('add');
  }

  async detach(): Promise<void> {
    await this.run('check');
    await this.run('del');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.node.ip(`link set ${CARD.link} down`);
    await this.wire[Symbol.asyncDispose]();
    await this.node[Symbol.asyncDispose]();
  }

  private async run(verb: 'add' | 'check' | 'del'): Promise<void> {
    expect(await this.node.cnitool({ verb, network: this.network, pod: this.pod })).toMatchObject({ exitCode: 0 });
  }
}

describe('an ipvlan', () => {
  it.each(['l2', 'l3', 'l3s'])('in mode %s is as it was asked for, and goes without a trace', async (mode) => {
    await using one = await Attachments.open();
    const before = [await one.state(), await stateOf(one.lab.node)];
    const result = await one.add({ mode, mtu: 1400 });
    expect(result).toMatchObject({ interfaces: [{ name: 'net1', mac: PARENT_MAC, sandbox: one.pod.path }] });
    expect(linkOf(await one.state(), 'net1')).toMatchObject({
      linkinfo: { info_kind: 'ipvlan', info_data: { mode } },
      ...{ mtu: 1400, address: PARENT_MAC, flags: expect.arrayContaining(['UP']) },
    });
    expect(await one.call('CHECK', { mode, mtu: 1400, prevResult: result })).toMatchObject(OK);
    expect(await one.call('DEL', { mode, prevResult: result })).toMatchObject(OK);
    expect(await one.call('DEL', { mode })).toMatchObject(OK);
    expect([await one.state(), await stateOf(one.lab.node)]).toEqual(before);
  });

  it('on a card is in the network of the card in mode l2', async () => {
    await using card = await CardOnWire.open();
    await card.attach('l2', at(card.wire.neighbour(9)));
    expect(await reaches(card.pod, card.wire.address())).toBe(true);
    await card.detach();
  });

  it.each(['l3', 'l3s'])('on a card is behind the node in mode %s', async (mode) => {
    await using card = await CardOnWire.open();
    const { node, wire, pod } = card;
    const gateway = wire.neighbour(8);
    await node.ip(`addr add ${gateway} dev ${CARD.link}`);
    await node.ip(`route add 10.91.0.0/24 via ${gateway.replace(/\/.*/, '')}`, wire.pod);
    const addresses = [{ address: '10.91.0.9/24' }];
    await card.attach(mode, { ipam: { type: 'static', addresses, routes: [{ dst: '0.0.0.0/0' }] } });
    expect(await reaches(pod, wire.address())).toBe(true);
    await card.detach();
    await node.ip(`addr del ${gateway} dev ${CARD.link}`);
  });

  it('is turned to the mode of the last one on its parent, which CHECK finds', async () => {
    await using one = await Attachments.open();
    const result = await one.add({});
    await one.add({ mode: 'l3', ...at('10.2.2.2/24') }, { ifName: 'net2' });
    expect(errorOf(await one.call('CHECK', { prevResult: result })).message).toContain('does not have mode "l2"');
  });

  it.each([
    { fault: 'is down', commands: ['link set net1 down'], says: 'is down' },
    { fault: 'is gone', commands: ['link del net1'], says: 'missing' },
    { fault: 'has another mtu', commands: ['link set net1 mtu 1300'], says: 'MTU 1300' },
    {
      fault: 'has another address',
      commands: ['addr add 10.1.2.4/24 dev net1', 'addr del 10.1.2.3/24 dev net1'],
      says: '10.1.2.3/24',
    },
  ])('that $fault fails CHECK', async ({ commands, says }) => {
    await using one = await Attachments.open();
    const result = await one.add({ mtu: 1400 });
    for (const command of commands) {
      await one.lab.ip(one.pod.name, command);
    }
    expect(errorOf(await one.call('CHECK', { mtu: 1400, prevResult: result })).message).toContain(says);
  });

  it('says whose it is', { tags: 'ipvlan/mark' }, async () => {
    await using one = await Attachments.open();
    await one.add({});
    const [, containerId, ifName] = MARK.exec(String(linkOf(await one.state(), 'net1')?.['ifalias'])) ?? [];
    expect([containerId, ifName]).toEqual(['c1', 'net1']);
  });

  it('of one pod comes and goes without the other one, though both have one hardware address', async () => {
    await using one = await Attachments.open();
    const result = await one.add({});
    await one.add(at('10.1.2.4/24'), { ifName: 'net2' });
    await one.lab.ip(one.pod.name, 'link del net1');
    expect(await one.call('DEL', { prevResult: result })).toMatchObject(OK);
    expect(addressTexts(await one.state(), 'net2')).toEqual(['10.1.2.4/24']);
    expect(await one.call('DEL', at('10.1.2.4/24'), { ifName: 'net2' })).toMatchObject(OK);
    expect(linkOf(await one.state(), 'net2')).toBeUndefined();
  });

  it('that the pod has renamed is found by its addresses', async () => {
    await using one = await Attachments.open();
    const result = await one.add({});
    await one.add(at('10.1.2.4/24'), { ifName: 'net2' });
    await one.lab.ip(one.pod.name, 'link set net1 down'); // Linux before 6.2 renames no link that is up
    await one.lab.ip(one.pod.name, 'link set net1 name mine');
    expect(await one.call('DEL', { prevResult: result })).toMatchObject(OK);
    const state = await one.state();
    expect([linkOf(state, 'mine'), addressTexts(state, 'net2')]).toEqual([undefined, ['10.1.2.4/24']]);
  });

  it('of a pod whose namespace is gone does not cost another pod its own', async () => {
    await using one = await Attachments.open();
    const result = await one.add({});
    const other = await one.lab.pod();
    await one.add(at('10.1.2.4/24'), { pod: other, containerId: 'c2' });
    await one.lab.remove(one.pod);
    expect(await one.call('DEL', { prevResult: result })).toMatchObject(OK);
    expect(addressTexts(await stateOf(other.name), 'net1')).toEqual(['10.1.2.4/24']);
  });

  it('waits until an IPv6 address can be used', { tags: 'ipvlan/dad' }, async () => {
    await using one = await Attachments.open({ detectsDuplicates: true });
    await one.add(at('fd00::3/64'));
    expect(await one.lab.ip(one.pod.name, 'addr show dev net1 scope global')).not.toContain('tentative');
  });

  it('is up before dhcp is asked', { tags: 'ipvlan/dhcp-up' }, async () => {
    await using one = await Attachments.open();
    const { lab, pod } = one;
    const look = `[ "$CNI_COMMAND" = ADD ] && ip -n ${pod.name} link show net1 > "$PWD/seen"`;
    const result = answer({ cniVersion: '1.0.0', ips: [{ address: '10.1.2.3/24' }] });
    const path = [fake(lab, 'dhcp', `${look}\n${result}`), ...OURS.path];
    const conf = ipvlan({ ipam: { type: 'dhcp' } });
    expect(await lab.call({ verb: 'ADD', plugin: 'ipvlan', conf, netns: pod.path, path })).toMatchObject({
      exitCode: 0,
    });
    expect(readFileSync(join(lab.dir, 'seen'), 'utf8')).toContain('UP');
  });
});

describe('an ipvlan is refused, and nothing is left:', () => {
  it.each(BAD_FOR_THE_KERNEL)('$title', { tags: 'ipvlan/refusal-reason' }, (row) => refuse('ipvlan', row));
});

describe('an ipvlan that is killed after every effect', { timeout: 900_000 }, () => {
  const killed = (one: Attachments, verb: string, conf: object) => async (last: number) =>
    one.call(verb, conf, { env: await killedAfter('ipvlan', one.lab.dir, last) });

  it('of ADD leaves nothing after DEL', async () => {
    await using one = await Attachments.open();
    const before = [await one.state(), await stateOf(one.lab.node)];
    await killAfterEach(IS_RESIDENT ? 5 : 6, {
      call: killed(one, 'ADD', {}),
      after: async () => {
        expect(await one.call('DEL', {})).toMatchObject(OK);
        expect([await one.state(), await stateOf(one.lab.node)]).toEqual(before);
      },
    });
  });

  it('of DEL leaves nothing after another DEL', async () => {
    await using one = await Attachments.open();
    const before = await one.state();
    await killAfterEach(1, {
      before: () => one.add({}),
      call: killed(one, 'DEL', {}),
      after: async () => {
        expect(await one.call('DEL', {})).toMatchObject(OK);
        expect(await one.state()).toEqual(before);
      },
    });
  });
});

describe.each(globSync('plugins/ipvlan/examples/*.conflist', { cwd: ROOT }).sort())('%s', (path) => {
  doesWhatItSays(path, EXAMPLES);
});

describe('a chain', () => {
  it('hands parent and addresses over, and CHECK and DEL know it', async () => {
    await using one = await Attachments.open();
    const before = await one.state();
    const prevResult = {
      cniVersion: '1.0.0',
      interfaces: [{ name: PARENT }],
      ips: [{ address: '10.1.2.3/24', gateway: '10.1.2.1', interface: 0 }],
      routes: [{ dst: '0.0.0.0/0' }],
    };
    const chained = { master: undefined, ipam: undefined };
    const result = await one.add({ ...chained, prevResult });
    expect(result).toMatchObject({ interfaces: [{ name: 'net1' }], ips: [{ address: '10.1.2.3/24', interface: 0 }] });
    expect(addressTexts(await one.state(), 'net1')).toEqual(['10.1.2.3/24']);
    expect(await one.call('CHECK', { ...chained, prevResult: result })).toMatchObject(OK);
    expect(await one.call('DEL', { ...chained, prevResult: result })).toMatchObject(OK);
    expect(await one.state()).toEqual(before);
  });
});
