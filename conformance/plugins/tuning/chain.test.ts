/** Networks of a pod that end with tuning are attached together by multus, as those without it are. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Outcome } from '../../lab/execute.ts';
import { Lab, PARENT } from '../../lab/lab.ts';
import { filesIn, linkOf, stateOf } from '../../lab/state.ts';
import { killedAfter, requestsOf, stepsOf } from '../../lab/steps.ts';

const NETWORKS = 8;
const NAMES = Array.from({ length: NETWORKS }, (_, index) => (index === 0 ? 'eth0' : `net${index}`));

/** A pod with networks, each with an address of one store. */
class Chain implements AsyncDisposable {
  readonly lab: Lab;
  readonly pod;
  private readonly conf;

  private constructor(lab: Lab, pod: { readonly name: string; readonly path: string }, tuning: readonly object[]) {
    const ipam = (index: number) => ({
      ...{ type: 'whereabouts', datastore: 'file', data_dir: join(lab.dir, 'addresses') },
      range: `10.${70 + index}.0.0/24`,
    });
    const delegates = NAMES.map((_, index) => ({
      cniVersion: '1.1.0',
      name: `rail-${index}`,
      plugins: [{ type: 'macvlan', master: PARENT, ipam: ipam(index) }, ...tuning],
    }));
    this.lab = lab;
    this.pod = pod;
    this.conf = { cniVersion: '1.1.0', name: 'all', type: 'multus', cniDir: join(lab.dir, 'multus'), delegates };
  }

  static async open(...tuning: readonly object[]): Promise<Chain> {
    const lab = await Lab.open({ isResident: false }); // an agent's requests depend on what else it does
    return new Chain(
      lab,
      await lab.pod(),
      tuning.map((one) => ({ dataDir: join(lab.dir, 'tuning'), ...one })),
    );
  }

  async call(verb: string, conf: object = this.conf): Promise<Outcome> {
    const env = await killedAfter('multus', this.lab.dir, Number.POSITIVE_INFINITY);
    const outcome = await this.lab.call({ verb, plugin: 'multus', ifName: 'eth0', conf, netns: this.pod.path, env });
    expect(outcome).toMatchObject({ exitCode: 0 });
    return outcome;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab[Symbol.asyncDispose]();
  }
}

const TUNING = {
  type: 'tuning',
  mtu: 1400,
  txQLen: 77,
  allmulti: true,
  sysctl: { 'net.ipv4.conf.IFNAME.arp_filter': '1', 'net.ipv4.conf.IFNAME.rp_filter': '2' },
};

/** What the networks do one after another, as long as it is the same for all: `16 of 8` are eight links made. */
function phases(outcome: Outcome): readonly string[] {
  const types = stepsOf(outcome).flatMap((step) => /^request (\d+)/.exec(step)?.[1] ?? []);
  const begins = types.flatMap((type, index) => (type === types[index - 1] ? [] : [index]));
  return begins.map((begin, index) => `${types[begin]} of ${(begins[index + 1] ?? types.length) - begin}`);
}

describe('macvlan and tuning, eight networks in one process', () => {
  it('go through each step together, with two requests more for each than macvlan alone', async () => {
    await using plain = await Chain.open();
    await using tuned = await Chain.open(TUNING);
    const [alone, chained] = [await plain.call('ADD'), await tuned.call('ADD')];
    const state = await stateOf(tuned.pod.name);
    for (const name of NAMES) {
      expect(linkOf(state, name)).toMatchObject({ mtu: 1400, txqlen: 77, flags: expect.arrayContaining(['ALLMULTI']) });
    }
    const addressed = Array.from({ length: NETWORKS }, () => ['20 of 1', '16 of 1']); // and set up, in one datagram
    expect(phases(alone)).toEqual(['16 of 8', ...addressed.flat()]);
    expect(phases(chained)).toEqual([...phases(alone), '19 of 8']);
    expect(requestsOf(chained)).toBe(requestsOf(alone) + 2 * NETWORKS);
    expect(Object.keys(filesIn(join(tuned.lab.dir, 'tuning')))).toHaveLength(NETWORKS);
    await tuned.call('CHECK');
    const [goneAlone, goneChained] = [await plain.call('DEL'), await tuned.call('DEL')];
    expect(phases(goneAlone)).toEqual(['19 of 8', '17 of 1']); // into one group, which is deleted
    expect(phases(goneChained)).toEqual(['19 of 16', '17 of 1']);
    expect(requestsOf(goneChained)).toBe(requestsOf(goneAlone) + 2 * NETWORKS);
    expect(Object.keys(filesIn(join(tuned.lab.dir, 'tuning')))).toEqual([]);
    expect((await stateOf(tuned.pod.name)).links).toHaveLength(1);
  });
});
