/** Agents follow one another while 200 pods start and stop: no call is lost, none is done twice. */
import { describe, expect, it } from 'vitest';
import { inParallel, type Outcome } from '../lab/execute.ts';
import { Lab, type Pod } from '../lab/lab.ts';
import { filesIn, stateOf } from '../lab/state.ts';
import { Store } from '../lab/store.ts';
import { Agent } from './agent.ts';
import { multus, network } from './networks.ts';

const PODS = 200;
const WIDTH = 24;
const CALLS_OF_AN_AGENT = 40;
const RAILS = [0, 1];
const PATIENCE_MS = 1_800_000;

/** How one agent follows another. */
interface Change {
  readonly what: string;
  begin(agent: Agent): Promise<void>;
  next(agent: Agent): Promise<void>;
  /** whether the standalone program may do calls */
  readonly fallsBack: boolean;
}

const CHANGES: readonly Change[] = [
  {
    what: 'another one takes the socket',
    begin: (agent) => agent.start(),
    next: (agent) => agent.start(),
    fallsBack: false,
  },
  {
    what: 'one ends and another one starts',
    begin: (agent) => agent.start(),
    next: async (agent) => {
      expect(await agent.end()).toBe(0);
      await agent.start();
    },
    fallsBack: true,
  },
  {
    what: 'calls to a lasting socket start it',
    begin: (agent) => agent.startActivated(),
    next: (agent) => agent.endActivated(),
    fallsBack: false,
  },
];

interface Printed {
  readonly ifname: string;
  readonly addr_info: readonly { readonly local: string; readonly family: string }[];
}

/** `eth0 10.5.0.1` of each address of a pod. */
async function addressesOf(lab: Lab, pod: Pod): Promise<readonly string[]> {
  const links = JSON.parse(await lab.ip(pod.name, '-j addr show')) as readonly Printed[];
  return links.flatMap(({ ifname, addr_info }) =>
    addr_info.filter(({ local }) => local.startsWith('10.5.')).map(({ local }) => `${ifname} ${local}`),
  );
}

const namesIn = (addresses: readonly string[]): readonly string[] => addresses.map((text) => text.split(' ')[0] ?? '');

class Crowd {
  readonly failed: (Outcome | string)[] = [];
  private readonly lab: Lab;
  private readonly agent: Agent;
  private readonly change: Change;
  private readonly pods: readonly Pod[];
  private calls = 0;
  private following: Promise<void> = Promise.resolve();

  constructor(lab: Lab, agent: Agent, change: Change, pods: readonly Pod[]) {
    this.lab = lab;
    this.agent = agent;
    this.change = change;
    this.pods = pods;
  }

  /** One call for each pod, while agents follow one another. */
  async all(verb: string): Promise<void> {
    await inParallel(this.pods, WIDTH, async (pod) => {
      const outcome = await this.call(verb, pod);
      if (outcome.exitCode !== 0) {
        this.failed.push(outcome);
      } else if (verb === 'ADD') {
        await this.demandNetworks(pod, outcome);
      }
      this.calls++;
      if (this.calls % CALLS_OF_AN_AGENT === 0) {
        this.following = this.following.then(() => this.change.next(this.agent));
      }
    });
    await this.following;
  }

  /** What is reported as done is done: the addresses of the first network are those of the result. */
  private async demandNetworks(pod: Pod, { stdout }: Outcome): Promise<void> {
    const found = await addressesOf(this.lab, pod);
    const { ips } = JSON.parse(stdout) as { readonly ips: readonly { readonly address: string }[] };
    const first = `eth0 ${ips[0]?.address.split('/')[0]}`;
    if (namesIn(found).join() !== 'eth0,net1' || !found.includes(first)) {
      this.failed.push(`${pod.name} has ${found.join(', ')}, and was reported to have ${first}`);
    }
  }

  private call(verb: string, pod: Pod): Promise<Outcome> {
    const { lab, agent } = this;
    const side = this.change.fallsBack ? agent.installed : agent.launchers;
    const delegates = RAILS.map((rail) => network(lab, rail));
    return agent.call(
      {
        plugin: 'multus',
        verb,
        ifName: 'eth0',
        containerId: pod.name,
        netns: pod.path,
        conf: multus(lab, side.bin, delegates),
      },
      side,
    );
  }
}

describe.each(CHANGES)('while $what', (change) => {
  it(`${PODS} pods start and stop: no call fails, no address is given twice, nothing is left`, {
    timeout: PATIENCE_MS,
  }, async () => {
    await using lab = await Lab.open();
    await using agent = Agent.of(lab);
    await change.begin(agent);
    const pods: Pod[] = [];
    for (let index = 0; index < PODS; index++) {
      pods.push(await lab.pod());
    }
    const crowd = new Crowd(lab, agent, change, pods);
    await crowd.all('ADD');
    expect(crowd.failed).toEqual([]);
    const given: string[] = [];
    await inParallel(pods, WIDTH, async (pod) => void given.push(...(await addressesOf(lab, pod))));
    expect(new Set(given).size).toBe(PODS * RAILS.length);
    await crowd.all('DEL');
    expect(crowd.failed).toEqual([]);
    const ends = (): number => agent.log.match(/"ends: /g)?.length ?? 0;
    await agent.until(() => ends() >= (2 * PODS) / CALLS_OF_AN_AGENT); // each drains before it ends
    await inParallel(pods, WIDTH, async (pod) => {
      expect((await stateOf(pod.name)).links.map(({ ifname }) => ifname)).toEqual(['lo']);
    });
    expect(Object.keys(filesIn(lab.folder('multus'))).filter((name) => !name.endsWith('/'))).toEqual([]);
    for (const rail of RAILS) {
      expect(await new Store(lab, { range: `10.5.${rail}.0/24` }).add('probe')).toEqual([`10.5.${rail}.1/24`]);
    }
  });
});
