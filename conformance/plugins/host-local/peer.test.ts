import { rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { inParallel, type Outcome } from '../../lab/execute.ts';
import { Lab } from '../../lab/lab.ts';
import { GO, OURS } from '../../lab/programs.ts';
import { Random, SEED } from '../../lab/random.ts';
import { Comparing } from '../../peers/peer-testing.ts';
import { hostLocalCases } from './cases.ts';
import { DIFFERENCES } from './differences.ts';
import { addressesOf, DUAL, Network, RANGE, withNetwork } from './lab.ts';
import { randomCalls } from './random.ts';

const comparing = new Comparing('host-local', DIFFERENCES);

comparing.cases('host-local does what the Go plugin does:', hostLocalCases());
comparing.meets(DIFFERENCES);

const SETS = {
  ranges: [
    [
      { subnet: '10.5.0.0/29', gateway: '10.5.0.4' },
      { subnet: '10.6.0.0/29', rangeStart: '10.6.0.2', rangeEnd: '10.6.0.6', gateway: '10.6.0.6' },
    ],
    [{ subnet: 'fd05::/124' }],
  ],
};

describe('the same calls at random', () => {
  it(`give the same addresses and leave the same files, byte for byte (BRAID_SEED=${SEED})`, async () => {
    await using lab = await Lab.open();
    const random = new Random(SEED + 11);
    const networks = { ours: new Network(lab, SETS, lab.folder('ours')), go: new Network(lab, SETS, lab.folder('go')) };
    for (let round = 0; round < 80; round++) {
      const id = `c${random.below(12)}`;
      const verb = random.pick(['ADD', 'ADD', 'ADD', 'DEL', 'DEL', 'CHECK']);
      const ifName = random.pick(['net1', 'net1', 'net2']);
      const asked = random.chance(0.15) ? { args: `IP=10.5.0.${2 + random.below(2)}` } : {};
      const [ours, go] = await Promise.all([
        networks.ours.call(OURS, verb, id, { ifName, ...asked }),
        networks.go.call(GO, verb, id, { ifName, ...asked }),
      ]);
      const what = `round ${round}: ${verb} ${id} ${ifName} ${JSON.stringify(asked)}: ${ours.stdout}`;
      expect(ours.exitCode, what).toBe(go.exitCode);
      expect(ours.exitCode === 0 ? ours.stdout : '', what).toBe(go.exitCode === 0 ? go.stdout : '');
      expect(networks.ours.files(), what).toEqual(networks.go.files());
    }
  }, 600_000);
});

/** What both say and leave is the same, but for what the list of differences has. */
function isIntended(verb: string, ours: Outcome, go: Outcome): boolean {
  return (
    (verb === 'DEL' && ours.exitCode === 0) || // del-lenient
    (verb === 'ADD' && /too small to allocate from/.test(go.stdout)) || // small-subnets
    (verb === 'ADD' && /a range without addresses/.test(ours.stdout)) // reversed
  );
}

describe('calls with configurations at random', () => {
  it(`have the same outcomes and leave the same files (BRAID_SEED=${SEED})`, async () => {
    await using lab = await Lab.open();
    const outcomes = { alike: 0, failed: 0 };
    await inParallel(randomCalls(), 3, async (one, index) => {
      const [ours, go] = ['ours', 'go'].map((name) => new Network(lab, {}, lab.folder(`${name}-${index}`)));
      for (const [name, content] of Object.entries(one.files)) {
        ours?.write(name, content);
        go?.write(name, content);
      }
      for (const verb of one.verbs) {
        const [our, their] = await Promise.all([ours?.raw(OURS, { ...one, verb }), go?.raw(GO, { ...one, verb })]);
        if (our === undefined || their === undefined) {
          return;
        }
        const what = `${one.title}: ${verb}: ${our.stdout} / ${their.stdout}`;
        if (our.exitCode !== their.exitCode) {
          expect(isIntended(verb, our, their), what).toBe(true);
          return;
        }
        outcomes[our.exitCode === 0 ? 'alike' : 'failed']++;
        if (our.exitCode !== 0) {
          return; // Go may have given something, and taken back more than that
        }
        expect(our.stdout, what).toBe(their.stdout);
        expect(ours?.files(), what).toEqual(go?.files());
      }
    });
    expect(outcomes.alike).toBeGreaterThan(30);
    expect(outcomes.failed).toBeGreaterThan(10);
  }, 600_000);
});

describe('both on one folder', () => {
  it(`in turn at random double no address, lose none, and know what the other has given (BRAID_SEED=${SEED})`, async () => {
    await using lab = await Lab.open();
    const random = new Random(SEED + 12);
    const network = new Network(lab, SETS);
    const held = new Map<string, readonly string[]>();
    for (let round = 0; round < 120; round++) {
      const [side, id] = [random.pick([OURS, GO]), `c${random.below(9)}`];
      const verb = held.has(id) ? random.pick(['CHECK', 'DEL', 'ADD']) : random.pick(['ADD', 'ADD', 'CHECK', 'DEL']);
      const outcome = await network.call(side, verb, id);
      const what = `round ${round}: ${side.name} ${verb} ${id}: ${outcome.stdout}`;
      const succeeds = verb === 'DEL' || (verb === 'CHECK' ? held.has(id) : !held.has(id) && held.size < 9);
      expect(outcome.exitCode === 0, what).toBe(succeeds);
      if (verb === 'DEL') {
        held.delete(id);
      } else if (verb === 'ADD' && succeeds) {
        held.set(id, addressesOf(outcome));
      }
      expect(Object.keys(network.held()).sort(), what).toEqual([...held.values()].flat().sort());
    }
  }, 600_000);

  it('at the same time, eight callers: none of 200 addresses is doubled or lost', async () => {
    await using lab = await Lab.open();
    const network = new Network(lab, DUAL);
    const given = new Map<string, readonly string[]>();
    const ids = Array.from({ length: 120 }, (_, index) => `c${index}`);
    const sideOf = (index: number) => (index % 2 === 0 ? OURS : GO);
    await inParallel(ids, 8, async (id, index) => {
      given.set(id, await network.add(id, {}, sideOf(index)));
      if (index % 6 === 5) {
        const other = ids[index - 5] ?? '';
        if (given.has(other)) {
          await network.del(other, {}, sideOf(index / 3));
          given.delete(other);
        }
      }
    });
    const all = [...given.values()].flat();
    expect(all.length).toBeGreaterThanOrEqual(200);
    expect(new Set(all).size).toBe(all.length);
    const owners = [...given].flatMap(([id, addresses]) => addresses.map((address) => [address, `${id}\r\nnet1`]));
    expect(network.held()).toEqual(Object.fromEntries(owners));
    await inParallel([...given.keys()], 8, (id, index) => network.del(id, {}, sideOf(index + 1)));
    expect(network.held()).toEqual({});
  }, 600_000);

  it(
    'change over while what is remembered is old, damaged or gone',
    withNetwork(RANGE, async (network) => {
      expect(await network.add('a')).toEqual(['10.5.0.2']);
      expect(await network.add('b', {}, GO)).toEqual(['10.5.0.3']);
      expect((await network.fails('ADD', 'b')).message).toContain('10.5.0.3 has been allocated to b');
      await network.del('a', {}, GO);
      expect(await network.add('a')).toEqual(['10.5.0.4']);
      rmSync(`${network.folder}/.owners`);
      await network.del('b');
      network.write('.owners', 'x');
      await network.del('a');
      expect(network.held()).toEqual({});
    }),
  );
});
