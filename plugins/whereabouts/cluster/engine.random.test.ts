import { describe, expect, it } from 'vitest';
import { seeded } from '../../../lib/sys/testing/seeded.ts';
import { FakeKube, type Mishap } from '../testing/fake-kube.ts';
import { GoModel } from '../testing/go-model.ts';
import { MemoryJournal } from '../testing/memory-journal.ts';
import { releasing, reserving } from '../testing/steps.ts';
import { transact } from '../transact.ts';
import { KubernetesEngine } from './engine.ts';
import type { IpPool, IpReservation } from './objects.ts';
import { NOTHING_RECENT } from './recent.ts';

const MISHAPS: readonly Mishap[] = ['lost request', 'lost answer', 'late', 'refused', 429, 500, 504, 409];
/** Ten thousand take a quarter of a minute: `RANDOM_CALLS=10000`. */
const CALLS = Number(process.env['RANDOM_CALLS'] ?? 2000);
const AT_ONCE = 30;
const MOST_SWEEPS = 5;

/** What pods ask for; the second and third range overlap, and the Go plugin's pods are in the first one too. */
const SHARED = '10.0.0.0/26';
const RANGES = [[SHARED], ['10.0.1.0/27'], ['10.0.1.0/28'], [SHARED, 'fd00::/120']] as const;

interface Pod {
  readonly name: string;
  readonly ranges: readonly string[];
  node: number;
  /** how many containers it has had */
  containers: number;
  /** undefined: it is not there */
  addresses: readonly string[] | undefined;
  busy: boolean;
}

const podOf = (index: number): Pod => ({
  name: `lab/p${index}`,
  ranges: RANGES[index % RANGES.length] ?? RANGES[0],
  node: 0,
  containers: 0,
  addresses: undefined,
  busy: false,
});

describe('reserving and releasing in a cluster', () => {
  it('doubles and loses nothing, whatever the server answers and whoever else writes', async () => {
    const random = seeded();
    const delay = () => random.below(4);
    const kube = new FakeKube({ delay });
    const mishap = (): Mishap => (random.below(25) === 0 ? random.pick(MISHAPS) : 'none');
    const nodes = Array.from({ length: 4 }, (_, index) => {
      const journal = new MemoryJournal();
      const api = kube.as({ delay, mishap });
      return {
        journal,
        engine: new KubernetesEngine({
          open: async () => api,
          journal,
          recents: NOTHING_RECENT,
          isStrict: index === 3,
        }),
      };
    });
    const node = (pod: Pod) => nodes[pod.node % nodes.length] as (typeof nodes)[number];
    const go = new GoModel(kube.as({ delay }));
    const what = `seed ${random.seed}`;
    const pods = Array.from({ length: 40 }, (_, index) => podOf(index));
    const goPods = Array.from({ length: 12 }, (_, index): Pod => ({ ...podOf(0), name: `go/p${index}` }));
    const doubled: string[] = [];
    const holders = new Map<string, string>();
    const counts = { added: 0, refused: 0, deleted: 0, go: 0, goFailed: 0 };

    const take = (pod: Pod, addresses: readonly string[]): void => {
      for (const address of addresses) {
        const other = holders.get(address);
        if (other !== undefined && other !== pod.name) {
          doubled.push(`${address} of ${other} and ${pod.name}`);
        }
        holders.set(address, pod.name);
      }
      pod.addresses = addresses;
    };
    const leave = (pod: Pod): void => {
      for (const address of pod.addresses ?? []) {
        holders.delete(address);
      }
      pod.addresses = undefined;
    };
    const idOf = (pod: Pod): string => `${pod.name}-${pod.containers}`;

    const add = async (pod: Pod): Promise<void> => {
      const one = reserving(`${pod.name} net1 ${idOf(pod)}`, pod.ranges);
      const [outcome] = await transact(node(pod).engine, [one.step]);
      if (outcome?.status === 'rejected') {
        expect(String(outcome.reason), what).toContain('Could not allocate');
        counts.refused++;
        leave(pod);
        return;
      }
      counts.added++;
      const own = pod.addresses ?? [];
      for (const address of own.filter((old) => !one.given.includes(old))) {
        holders.delete(address);
      }
      take(pod, [...one.given]);
    };
    const del = async (pod: Pod): Promise<void> => {
      leave(pod);
      await transact(node(pod).engine, [releasing(`${pod.name} net1 ${idOf(pod)}`, pod.ranges)]);
      counts.deleted++;
    };
    /** The pod comes back in a new container, maybe on another node, before the old one is deleted or while it is. */
    const restart = async (pod: Pod): Promise<void> => {
      const old = { ...pod, addresses: undefined };
      leave(pod); // nobody uses its addresses any more, and maybe it gets them again
      pod.containers++;
      pod.node = random.below(nodes.length);
      await Promise.all([add(pod), del(old)]);
    };
    const callGo = async (pod: Pod): Promise<void> => {
      counts.go++;
      if (pod.addresses === undefined) {
        pod.containers++;
        const address = await go.add(idOf(pod), pod.name, 'net1');
        if (address === undefined) {
          counts.goFailed++;
          await go.del(idOf(pod), 'net1');
        } else {
          take(pod, [address]);
        }
      } else {
        leave(pod);
        await go.del(idOf(pod), 'net1');
      }
    };
    const call = async (): Promise<void> => {
      const pod = random.pick(random.below(5) === 0 ? goPods : pods);
      if (pod.busy) {
        return;
      }
      pod.busy = true;
      const kind = random.below(4);
      if (pod.name.startsWith('go/')) {
        await callGo(pod);
      } else if (pod.addresses === undefined) {
        pod.containers++;
        await add(pod);
      } else if (kind === 0) {
        await add(pod);
      } else if (kind === 1) {
        await restart(pod);
      } else {
        await del(pod);
      }
      pod.busy = false;
    };

    while (counts.added + counts.refused + counts.deleted + counts.go < CALLS) {
      await Promise.all(Array.from({ length: AT_ONCE }, call));
      expect([...doubled, ...lost()], what).toEqual([]);
    }

    /** What pods were told, and is not in the pools or not protected. */
    function lost(): readonly string[] {
      const stored = new Set(
        kube
          .all<IpPool>('ippools')
          .flatMap(({ spec }) =>
            Object.entries(spec.allocations ?? {}).map(
              ([key, { podref, id }]) => `${spec.range} ${key} ${podref} ${id}`,
            ),
          ),
      );
      const reservations = new Set(
        kube
          .all<IpReservation>('overlappingrangeipreservations')
          .map(({ metadata, spec }) => `${metadata.name} ${spec.podref}`),
      );
      return [...pods, ...goPods].flatMap((pod) =>
        (pod.addresses ?? []).flatMap((address, index) => {
          const range = pod.ranges[index] ?? '';
          const key = address.includes(':') ? Number.parseInt(address.slice(6), 16) : Number(address.split('.')[3]);
          const isThere = stored.has(`${range} ${key} ${pod.name} ${idOf(pod)}`);
          // The Go plugin deletes reservations without looking whose they are, so there any may be left.
          const isSafe = range === SHARED || reservations.has(`${address.replaceAll(':', '-')} ${pod.name}`);
          return isThere && isSafe ? [] : [`${address} of ${pod.name}: ${isThere ? 'unprotected' : 'lost'}`];
        }),
      );
    }

    /** Pods of which a node still has to delete something: it failed each time it was tried, and the next call finishes it. */
    const owed = (): ReadonlySet<string> =>
      new Set(nodes.flatMap(({ journal }) => journal.rows.map(({ id }) => id.replace(/-\d+$/, ''))));
    for (let sweeps = 0; sweeps === 0 || (owed().size > 0 && sweeps < MOST_SWEEPS); sweeps++) {
      for (const pod of pods) {
        await del(pod);
      }
      const known = owed();
      expect(
        left(kube).filter((name) => !known.has(name)),
        what,
      ).toEqual([]);
    }
    expect(left(kube), what).toEqual([]);
  }, 60_000);
});

/** Reservations of ours that nobody has any more. */
const left = (kube: FakeKube): readonly string[] =>
  [
    ...kube.all<IpPool>('ippools').flatMap(({ spec }) => Object.values(spec.allocations ?? {})),
    ...kube.all<IpReservation>('overlappingrangeipreservations').map(({ spec }) => spec),
  ].flatMap(({ podref = '' }) => (podref.startsWith('lab/') ? [podref] : []));
