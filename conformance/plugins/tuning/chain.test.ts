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
    const lab = await Lab.open();
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

/** Transactions of the store: the number of the last one is written anew after each. */
const transactions = (outcome: Outcome): number =>
  stepsOf(outcome).filter((step) => /^rename to .*sequence$/.test(step)).length;

describe('macvlan and tuning, eight networks in one process', () => {
  it('take as many transactions of the store as macvlan alone, and two requests more for each network', async () => {
    await using plain = await Chain.open();
    await using tuned = await Chain.open(TUNING);
    const [alone, chained] = [await plain.call('ADD'), await tuned.call('ADD')];
    const state = await stateOf(tuned.pod.name);
    for (const name of NAMES) {
      expect(linkOf(state, name)).toMatchObject({ mtu: 1400, txqlen: 77, flags: expect.arrayContaining(['ALLMULTI']) });
    }
    expect([transactions(chained), requestsOf(chained)]).toEqual([
      transactions(alone),
      requestsOf(alone) + 2 * NETWORKS,
    ]);
    expect(Object.keys(filesIn(join(tuned.lab.dir, 'tuning')))).toHaveLength(NETWORKS);
    await tuned.call('CHECK');
    const [goneAlone, goneChained] = [await plain.call('DEL'), await tuned.call('DEL')];
    expect([transactions(goneChained), requestsOf(goneChained)]).toEqual([
      transactions(goneAlone),
      requestsOf(goneAlone) + 2 * NETWORKS,
    ]);
    expect(Object.keys(filesIn(join(tuned.lab.dir, 'tuning')))).toEqual([]);
    expect((await stateOf(tuned.pod.name)).links).toHaveLength(1);
  });
});
