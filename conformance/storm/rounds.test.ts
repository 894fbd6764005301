/** Many callers at once on one node, some of them killed: nothing is doubled, nothing is lost, nothing is left. */
import { describe, expect, it } from 'vitest';
import { type Env, inParallel, type Outcome } from '../lab/execute.ts';
import { errorOf } from '../lab/printed.ts';
import { Random, SEED } from '../lab/random.ts';
import { type NetnsState, stateOf } from '../lab/state.ts';
import { killedAfter } from '../lab/steps.ts';
import { roundsOf, seeded } from './rounds.ts';
import { type Container, ifNameOf, LOST, type Network, OK, StormNode } from './storm-node.ts';

const ROUNDS = roundsOf(1000);
const CALLERS = 8;
const DEVICES = 6;
/** GC does not know where a pod is whose ADD was killed, and leaves its links: see gc.test.ts. */
const COLLECTS_HALF_DONE = false;
/** Every so many rounds somebody looks whether two pods have the same address. */
const ROUNDS_BETWEEN_LOOKS = 20;
/** More effects than a call has: some of the kills come too late. */
const EFFECTS = 70;

/** Some devices are wanted by several pods, so some ADDs must fail. */
const SHAPES: readonly (readonly Network[])[] = [
  ['m0', 'd0', 'm1'],
  ['m1', 'm0'],
  ['d1', 'm1', 'm2', 'd2'],
  ['m2', 'm0', 'd3'],
  ['d4', 'm0', 'd5'],
  ['m0', 'm1', 'm2', 'm3'],
  ['d3', 'm1'],
  ['m3', 'd0', 'm2'],
];

/** What is known of a container. */
type Condition = 'absent' | 'attached' | 'unknown';

interface Tenant {
  readonly container: Container;
  condition: Condition;
}

describe('eight callers at once', () => {
  it(`${seeded(ROUNDS)}: double no address, lose no device and leave nothing`, { timeout: 3_600_000 }, async () => {
    await using node = await StormNode.open(DEVICES);
    const storm = await Storm.begin(node);
    const before = await node.everything();
    await storm.run(ROUNDS);
    for (const { container } of storm.tenants) {
      await node.must('DEL', container);
    }
    await node.expectAsBefore(before);
    console.log(`${seeded(ROUNDS)}: ${JSON.stringify(storm.count)}`);
    expect(storm.count).toMatchObject({ doubled: 0 });
    expect(storm.count.killed).toBeGreaterThan(ROUNDS / 50);
    expect(storm.count.attached).toBeGreaterThan(ROUNDS / 10);
  });
});

class Storm {
  readonly tenants: readonly Tenant[];
  readonly count = { killed: 0, attached: 0, refused: 0, doubled: 0 };
  private readonly node: StormNode;
  private rounds = 0;

  private constructor(node: StormNode, tenants: readonly Tenant[]) {
    this.node = node;
    this.tenants = tenants;
  }

  /** Each caller has two pods of its own: a runtime makes its calls for one pod one after the other. */
  static async begin(node: StormNode): Promise<Storm> {
    await killedAfter('multus', node.lab.dir, 1); // builds what the callers share
    const tenants: Tenant[] = [];
    for (let index = 0; index < CALLERS * 2; index++) {
      const container = await node.container(`c${index}`, SHAPES[index % SHAPES.length] ?? []);
      tenants.push({ container, condition: 'absent' });
    }
    return new Storm(node, tenants);
  }

  run(rounds: number): Promise<void> {
    const callers = Array.from({ length: CALLERS }, (_, index) => index);
    return inParallel(callers, CALLERS, async (caller) => {
      const random = new Random(SEED + caller * 7919);
      while (this.rounds < rounds) {
        this.rounds++;
        await this.round(random.pick(this.tenants.filter((_, index) => index % CALLERS === caller)), random);
        if (this.rounds % ROUNDS_BETWEEN_LOOKS === 0) {
          await this.lookForDoubles();
        }
      }
    });
  }

  private async round(tenant: Tenant, random: Random): Promise<void> {
    const killing = random.chance(0.25) ? await this.death(random) : undefined;
    switch (tenant.condition) {
      case 'absent':
        return random.chance(0.9) ? this.add(tenant, killing) : this.takeAway(tenant, 'DEL', killing);
      case 'attached':
        return random.chance(0.3)
          ? this.look(tenant)
          : this.takeAway(tenant, random.chance(0.75) ? 'DEL' : 'GC', killing);
      case 'unknown':
        return random.chance(0.2)
          ? this.add(tenant, killing)
          : this.takeAway(tenant, random.chance(0.75) || !COLLECTS_HALF_DONE ? 'DEL' : 'GC', killing);
    }
  }

  /** At any instant, or right after some effect. */
  private async death(random: Random): Promise<Death> {
    const [instant, effect] = [random.next(), 1 + random.below(EFFECTS)];
    return random.chance(0.5)
      ? { killAfterMs: 20 + instant * 400 }
      : { env: await killedAfter('multus', this.node.lab.dir, effect) };
  }

  private async add(tenant: Tenant, death: Death = {}): Promise<void> {
    const { container } = tenant;
    const wasAbsent = tenant.condition === 'absent';
    tenant.condition = 'unknown';
    const outcome = await this.node.call('ADD', container, death);
    if (this.isDead(outcome)) {
      return;
    }
    if (outcome.exitCode === 0) {
      tenant.condition = 'attached';
      this.count.attached++;
      await this.look(tenant);
      return;
    }
    this.count.refused++;
    expect(REFUSALS).toContain(errorOf(outcome).code);
    expect(errorOf(outcome).message).toMatch(wasAbsent ? /a pod may have it|another call/ : REFUSED_AGAIN);
    if (wasAbsent) {
      tenant.condition = 'absent';
      await this.expectEmpty(container, outcome);
    }
  }

  private async takeAway(tenant: Tenant, verb: 'DEL' | 'GC', death: Death = {}): Promise<void> {
    const { container } = tenant;
    tenant.condition = 'unknown';
    const others = this.tenants.map((other) => other.container.id).filter((id) => id !== container.id);
    const valid = others.map((containerID) => ({ containerID, ifname: 'eth0' }));
    const more = verb === 'GC' ? { more: { 'cni.dev/valid-attachments': valid }, netns: '' } : {};
    const outcome = await this.node.call(verb, container, { ...death, ...more });
    if (this.isDead(outcome)) {
      return;
    }
    expect(outcome, `${verb} ${container.id}`).toMatchObject({ ...OK, stdout: '' });
    tenant.condition = 'absent';
    await this.expectEmpty(container, outcome);
  }

  /** All that the pod was given is there. */
  private async look({ container }: Tenant): Promise<void> {
    const { id, pod, networks } = container;
    const outcome = await this.node.call('CHECK', container);
    expect(outcome, `CHECK ${id}`).toMatchObject({ ...OK, stdout: '' });
    expect(namesIn(await stateOf(pod.name))).toEqual(['lo', ...networks.map((_, index) => ifNameOf(index))].sort());
  }

  private isDead(outcome: Outcome): boolean {
    expect(outcome.stderr).not.toMatch(LOST);
    if (outcome.signal === undefined) {
      return false;
    }
    expect(outcome.signal).toBe('SIGKILL');
    this.count.killed++;
    return true;
  }

  private async expectEmpty({ id, pod }: Container, outcome: Outcome): Promise<void> {
    expect(namesIn(await stateOf(pod.name)), `${id}: ${JSON.stringify(outcome)}`).toEqual(['lo']);
  }

  /** Pods cannot be looked at in one instant: what seems doubled is looked at again, the first pod before and after the second. */
  private async lookForDoubles(): Promise<void> {
    const owners = new Map<string, Container>();
    for (const { container } of this.tenants) {
      for (const address of addressesIn(await stateOf(container.pod.name))) {
        const other = owners.get(address);
        if (other !== undefined && (await this.isDoubled(address, other, container))) {
          this.count.doubled++;
        }
        owners.set(address, container);
      }
    }
  }

  private async isDoubled(address: string, one: Container, other: Container): Promise<boolean> {
    const before = await stateOf(one.pod.name);
    const between = await stateOf(other.pod.name);
    const after = await stateOf(one.pod.name);
    return (
      [before, between, after].every((state) => addressesIn(state).includes(address)) &&
      indexesOf(before, address) === indexesOf(after, address)
    );
  }
}

interface Death {
  readonly killAfterMs?: number;
  readonly env?: Env;
}

const REFUSALS = [11, 999];
/** ADD again without DEL: what the killed one left may be in the way. */
const REFUSED_AGAIN = /a pod may have it|another call|already exists|EEXIST/;

const namesIn = ({ links }: NetnsState): readonly string[] => links.map(({ ifname }) => String(ifname)).sort();

const addressesIn = ({ addresses }: NetnsState): readonly string[] =>
  addresses.map(({ local }) => String(local)).filter((local) => local.startsWith('10.'));

/** Another link with the same address would be another time. */
const indexesOf = ({ addresses, links }: NetnsState, address: string): string =>
  addresses
    .filter(({ local }) => local === address)
    .map(({ ifname }) => String(links.find((link) => link['ifname'] === ifname)?.['ifindex']))
    .join();
