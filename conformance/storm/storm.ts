/** Callers that add, check and take away pods at random, some of them killed. */
import { expect } from 'vitest';
import { type Env, inParallel, type Outcome } from '../lab/execute.ts';
import type { Pod } from '../lab/lab.ts';
import { errorOf } from '../lab/printed.ts';
import { Random, SEED } from '../lab/random.ts';
import { IS_RESIDENT } from '../lab/resident.ts';
import { type NetnsState, stateOf } from '../lab/state.ts';
import { killedAfter } from '../lab/steps.ts';

/** A call that comes to its end has these. */
export const OK = { exitCode: 0, signal: undefined };

/** What a call says that has lost an answer of the kernel, or waited for one. */
export const LOST = /no answer from the kernel|cannot undo/;

/** What multus calls the interface of a network. */
export const ifNameOf = (index: number): string => (index === 0 ? 'eth0' : `net${index}`);

export interface Container<Network extends string> {
  readonly id: string;
  readonly pod: Pod;
  readonly networks: readonly Network[];
}

export interface Calling {
  readonly killAfterMs?: number;
  readonly env?: Env;
  /** more of multus's document */
  readonly more?: object;
  /** CNI_NETNS instead of the pod's */
  readonly netns?: string;
}

/** A node on which multus is called for pods with several networks. */
export interface StormPlace<Network extends string> {
  /** for what callers share */
  readonly dir: string;
  container(id: string, networks: readonly Network[]): Promise<Container<Network>>;
  call(verb: string, container: Container<Network>, calling?: Calling): Promise<Outcome>;
}

const CALLERS = 8;
/** Every so many rounds somebody looks whether two pods have the same address. */
const ROUNDS_BETWEEN_LOOKS = 20;
/** More effects than a call has: some of the kills come too late. */
const EFFECTS = 70;

/** What is known of a container. */
type Condition = 'absent' | 'attached' | 'unknown';

interface Tenant<Network extends string> {
  readonly container: Container<Network>;
  condition: Condition;
}

export class Storm<Network extends string> {
  readonly tenants: readonly Tenant<Network>[];
  readonly count = { killed: 0, attached: 0, refused: 0, doubled: 0 };
  private readonly node: StormPlace<Network>;
  /** the longest time after which a call is killed */
  private readonly longestMs: number;
  private rounds = 0;

  private constructor(node: StormPlace<Network>, tenants: readonly Tenant<Network>[], longestMs: number) {
    this.node = node;
    this.longestMs = longestMs;
    this.tenants = tenants;
  }

  /** Each caller has two pods of its own: a runtime makes its calls for one pod one after the other. */
  static async begin<Network extends string>(
    node: StormPlace<Network>,
    shapes: readonly (readonly Network[])[],
    { longestMs = 400 } = {},
  ): Promise<Storm<Network>> {
    await killedAfter('multus', node.dir, 1); // builds what the callers share
    const tenants: Tenant<Network>[] = [];
    for (let index = 0; index < CALLERS * 2; index++) {
      const container = await node.container(`c${index}`, shapes[index % shapes.length] ?? []);
      tenants.push({ container, condition: 'absent' });
    }
    return new Storm(node, tenants, longestMs);
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

  private async round(tenant: Tenant<Network>, random: Random): Promise<void> {
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
          : this.takeAway(tenant, random.chance(0.75) ? 'DEL' : 'GC', killing);
    }
  }

  /** At any instant, or right after some effect. */
  private async death(random: Random): Promise<Death> {
    const [instant, effect] = [random.next(), 1 + random.below(EFFECTS)];
    return random.chance(0.5)
      ? { killAfterMs: 20 + instant * this.longestMs }
      : { env: await killedAfter('multus', this.node.dir, effect) };
  }

  private async add(tenant: Tenant<Network>, death: Death = {}): Promise<void> {
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
    expect(errorOf(outcome).message).toMatch(
      wasAbsent ? /a pod may have it|another call|already allocated/ : REFUSED_AGAIN,
    );
    if (wasAbsent) {
      tenant.condition = 'absent';
      await this.expectEmpty(container, outcome);
    }
  }

  private async takeAway(tenant: Tenant<Network>, verb: 'DEL' | 'GC', death: Death = {}): Promise<void> {
    const { container } = tenant;
    if (verb === 'GC' && tenant.condition === 'unknown') {
      await this.untilEnded(container);
    }
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
    await this.expectEmpty(container, outcome, verb);
  }

  /**
   * An agent still undoes the call of a launcher that was killed, and GC leaves alone what a call is at work on. Calls for
   * one sandbox wait for each other there; what this one finds does not matter.
   */
  private async untilEnded(container: Container<Network>): Promise<void> {
    if (IS_RESIDENT) {
      await this.node.call('CHECK', container);
    }
  }

  /** All that the pod was given is there. */
  private async look({ container }: Tenant<Network>): Promise<void> {
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

  private async expectEmpty({ id, pod }: Container<Network>, outcome: Outcome, verb = 'ADD'): Promise<void> {
    expect(namesIn(await stateOf(pod.name)), `${verb} ${id}: ${JSON.stringify(outcome)}`).toEqual(['lo']);
  }

  /** Pods cannot be looked at in one instant: what seems doubled is looked at again, the first pod before and after the second. */
  private async lookForDoubles(): Promise<void> {
    const owners = new Map<string, Container<Network>>();
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

  private async isDoubled(address: string, one: Container<Network>, other: Container<Network>): Promise<boolean> {
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
const REFUSED_AGAIN = /a pod may have it|another call|already allocated|already exists|has it already|EEXIST/;

const namesIn = ({ links }: NetnsState): readonly string[] => links.map(({ ifname }) => String(ifname)).sort();

const addressesIn = ({ addresses }: NetnsState): readonly string[] =>
  addresses.map(({ local }) => String(local)).filter((local) => local.startsWith('10.'));

/** Another link with the same address would be another time. */
const indexesOf = ({ addresses, links }: NetnsState, address: string): string =>
  addresses
    .filter(({ local }) => local === address)
    .map(({ ifname }) => String(links.find((link) => link['ifname'] === ifname)?.['ifindex']))
    .join();
