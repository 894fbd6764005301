/** Two calls that want the same thing at the same instant: one gets it, the other is told why not and undoes only its own. */
import { describe, expect, it } from 'vitest';
import { eventually } from '../lab/eventually.ts';
import type { Outcome } from '../lab/execute.ts';
import type { Pod } from '../lab/lab.ts';
import { errorOf } from '../lab/printed.ts';
import { Random, SEED } from '../lab/random.ts';
import { roundsOf, seeded } from '../lab/rounds.ts';
import { addressTexts, linkOf, stateOf } from '../lab/state.ts';
import { LOST, OK } from './storm.ts';
import { type Container, deviceName, interfacesIn, StormNode } from './storm-node.ts';

const ROUNDS = roundsOf(10, 40);
const TIMEOUT_MS = 3_600_000;
/** The codes of "another call is at it", and of whatever the world refuses. */
const REFUSALS = [11, 999];

/** One of two callers. */
interface Rival {
  readonly conf: object;
  readonly pod: Pod;
  readonly containerId: string;
}

const ask = (
  node: StormNode,
  verb: string,
  { conf, pod, containerId }: Rival,
  prevResult?: unknown,
): Promise<Outcome> =>
  node.plugin(verb, prevResult === undefined ? conf : { ...conf, prevResult }, { netns: pod.path, containerId });

/** Both ask; each is a program that has just started, so either may be first. */
async function both<T>(random: Random, calls: readonly [() => Promise<T>, () => Promise<T>]): Promise<readonly [T, T]> {
  const [one, other] = calls;
  if (random.chance(0.5)) {
    return Promise.all([one(), other()]);
  }
  const [second, first] = await Promise.all([other(), one()]);
  return [first, second];
}

/** @returns indexes: who won, and who lost */
function judged(outcomes: readonly [Outcome, Outcome], why: RegExp): { readonly won: 0 | 1; readonly lost: 0 | 1 } {
  const winners = outcomes.filter(({ exitCode }) => exitCode === 0);
  expect(winners, JSON.stringify(outcomes)).toHaveLength(1);
  const won = outcomes[0].exitCode === 0 ? 0 : 1;
  const lost = won === 0 ? 1 : 0;
  const { code, message } = errorOf(outcomes[lost]);
  expect(REFUSALS).toContain(code);
  expect(message).toMatch(why);
  expect(outcomes[lost].stderr).not.toMatch(LOST);
  return { won, lost };
}

async function mustDelete(node: StormNode, rival: Rival, prevResult?: unknown): Promise<void> {
  const outcome = await ask(node, 'DEL', rival, prevResult);
  expect(outcome).toMatchObject({ ...OK, stdout: '' });
}

/** Rounds of one node: two ask, the loser has nothing, the winner has it until its DEL, then all is as before. */
async function contend(node: StormNode, { rivals, why, has }: Contest): Promise<void> {
  const before = await node.everything();
  const random = new Random(SEED);
  for (let round = 0; round < ROUNDS; round++) {
    const two = await rivals(round, random);
    const outcomes = await both(random, [() => ask(node, 'ADD', two[0]), () => ask(node, 'ADD', two[1])]);
    const { won, lost } = judged(outcomes, why);
    const [winner, loser] = [two[won], two[lost]];
    const result: unknown = JSON.parse(outcomes[won].stdout);
    await has(winner, loser);
    if (mayDelete(loser, winner)) {
      await mustDelete(node, loser); // as runtimes do after each failure: it has nothing to take
      await has(winner, loser);
    }
    expect(await ask(node, 'CHECK', winner, result)).toMatchObject(OK);
    await mustDelete(node, winner, random.chance(0.5) ? result : undefined);
    await node.expectAsBefore(before);
  }
}

/** macvlan records nothing: of two in one namespace with one name its DEL cannot know whose the link is. */
const mayDelete = (loser: Rival, winner: Rival): boolean =>
  loser.containerId !== winner.containerId && (loser.pod !== winner.pod || !isMacvlan(loser) || !isMacvlan(winner));

const isMacvlan = ({ conf }: Rival): boolean => 'master' in conf;

interface Contest {
  readonly rivals: (round: number, random: Random) => Promise<readonly [Rival, Rival]>;
  readonly why: RegExp;
  /** the winner has what both wanted, and the loser nothing */
  readonly has: (winner: Rival, loser: Rival) => Promise<void>;
}

/** Two pods of their own, the same ones in every round. */
async function twoPods(node: StormNode, conf: (index: 0 | 1, random: Random) => object) {
  const pods = [await node.pod(), await node.pod()] as const;
  return async (_: number, random: Random): Promise<readonly [Rival, Rival]> => [
    { conf: conf(0, random), pod: pods[0], containerId: 'c1' },
    { conf: conf(1, random), pod: pods[1], containerId: 'c2' },
  ];
}

const hasLink = (kind: string, addresses: readonly string[]) => async (winner: Rival, loser: Rival) => {
  const state = await stateOf(winner.pod.name);
  expect(linkOf(state, 'net1')).toMatchObject({ linkinfo: { info_kind: kind } });
  expect(addressTexts(state, 'net1')).toEqual(addresses);
  if (loser.pod !== winner.pod) {
    expect(await interfacesIn(loser.pod)).toEqual(['lo']);
  }
};

describe.concurrent(`two pods ask at once, ${seeded(ROUNDS)}`, { timeout: TIMEOUT_MS }, () => {
  it('for the same device: it keeps all that it had', async () => {
    await using node = await StormNode.open(1);
    const selectors = [{ device: deviceName(0) }, { device: 'second-0' }, { device: '', hwaddr: node.macOf(0) }];
    const rivals = await twoPods(node, (_, random) => node.hostDevice(0, random.pick(selectors)));
    const why = /a pod may have it|another call has held it/;
    await contend(node, { rivals, why, has: hasLink('veth', ['10.6.0.1/24']) });
  });

  it('for the last address of a range', async () => {
    await using node = await StormNode.open(0);
    const ipam = node.whereabouts('10.5.0.0/30', { exclude: ['10.5.0.2/32'] });
    const rivals = await twoPods(node, () => node.macvlan(0, { ipam }));
    await contend(node, { rivals, why: /Could not allocate IP|no address/, has: hasLink('macvlan', ['10.5.0.1/30']) });
  });

  it('for the last address of a range that two networks have', async () => {
    await using node = await StormNode.open(0);
    const ipam = node.whereabouts('10.5.0.0/30', { exclude: ['10.5.0.2/32'] });
    const rivals = await twoPods(node, (index) => node.macvlan(index, { ipam }));
    await contend(node, { rivals, why: /Could not allocate IP|no address/, has: hasLink('macvlan', ['10.5.0.1/30']) });
  });

  it('for the last address that two ranges have in common', async () => {
    await using node = await StormNode.open(0);
    const small = node.whereabouts('10.5.0.0/30', { exclude: ['10.5.0.2/32'] });
    const large = node.whereabouts('10.5.0.0/29', { exclude: ['10.5.0.2/31', '10.5.0.4/30'] });
    const rivals = await twoPods(node, (index) => node.macvlan(index, { ipam: index === 0 ? small : large }));
    const has = async (winner: Rival, loser: Rival): Promise<void> => {
      const [address] = addressTexts(await stateOf(winner.pod.name), 'net1');
      expect(address).toMatch(/^10\.5\.0\.1\/(30|29)$/);
      expect(await interfacesIn(loser.pod)).toEqual(['lo']);
    };
    await contend(node, { rivals, why: /Could not allocate IP|no address/, has });
  });
});

describe.concurrent(`two calls want the same name in one pod at once, ${seeded(ROUNDS)}`, {
  timeout: TIMEOUT_MS,
}, () => {
  const why = /already exists|EEXIST|a pod may have it|another call has held it/;

  const oneNamespace = async (node: StormNode, conf: (index: 0 | 1) => object, ids: readonly [string, string]) => {
    const pod = await node.pod();
    const rivals: readonly [Rival, Rival] = [
      { conf: conf(0), pod, containerId: ids[0] },
      { conf: conf(1), pod, containerId: ids[1] },
    ];
    return () => Promise.resolve(rivals);
  };

  it.each([
    { what: 'macvlan', make: (node: StormNode) => node.macvlan(0), kind: 'macvlan', address: '10.5.0.1/24' },
    { what: 'host-device', make: (node: StormNode) => node.hostDevice(0), kind: 'veth', address: '10.6.0.1/24' },
  ])('for the same attachment: $what', async ({ make, kind, address }) => {
    await using node = await StormNode.open(1);
    const rivals = await oneNamespace(node, () => make(node), ['c1', 'c1']);
    await contend(node, { rivals, why, has: hasLink(kind, [address]) });
  });

  it('for two containers: macvlan', async () => {
    await using node = await StormNode.open(0);
    const rivals = await oneNamespace(node, () => node.macvlan(0), ['c1', 'c2']);
    const has = async ({ pod }: Rival): Promise<void> => {
      expect(linkOf(await stateOf(pod.name), 'net1')).toMatchObject({ linkinfo: { info_kind: 'macvlan' } });
    };
    await contend(node, { rivals, why, has });
  });

  it('for two containers: host-device', async () => {
    await using node = await StormNode.open(2);
    const rivals = await oneNamespace(node, (index) => node.hostDevice(index), ['c1', 'c2']);
    const has = async ({ pod, conf }: Rival): Promise<void> => {
      const { device } = conf as { readonly device: string };
      expect(linkOf(await stateOf(pod.name), 'net1')).toMatchObject({ ifalias: device });
    };
    await contend(node, { rivals, why, has });
  });

  it('for two containers: a macvlan and a device', async () => {
    await using node = await StormNode.open(1);
    const make = (index: 0 | 1): object => (index === 0 ? node.macvlan(0) : node.hostDevice(0));
    const rivals = await oneNamespace(node, make, ['c1', 'c2']);
    const has = async (rival: Rival): Promise<void> => {
      const kind = isMacvlan(rival) ? 'macvlan' : 'veth';
      expect(linkOf(await stateOf(rival.pod.name), 'net1')).toMatchObject({ linkinfo: { info_kind: kind } });
    };
    await contend(node, { rivals, why, has });
  });
});

describe.concurrent(`two pods of multus ask for the same device at once, ${seeded(ROUNDS)}`, {
  timeout: TIMEOUT_MS,
}, () => {
  it('and have other networks too: the loser has none of them', async () => {
    await using node = await StormNode.open(1);
    const rivals: readonly [Container, Container] = [
      await node.container('c1', ['m0', 'd0', 'm1']),
      await node.container('c2', ['d0', 'm1', 'm0']),
    ];
    const before = await node.everything();
    const random = new Random(SEED);
    for (let round = 0; round < ROUNDS; round++) {
      const outcomes = await both(random, [() => node.call('ADD', rivals[0]), () => node.call('ADD', rivals[1])]);
      const { won, lost } = judged(outcomes, /a pod may have it|another call has held it/);
      await eventually(() => interfacesIn(rivals[lost].pod), ['lo']);
      expect(await node.taken()).toHaveLength(3);
      await node.must('DEL', rivals[lost]);
      await node.must('CHECK', rivals[won]);
      await node.must('DEL', rivals[won]);
      await node.expectAsBefore(before);
    }
  });
});
