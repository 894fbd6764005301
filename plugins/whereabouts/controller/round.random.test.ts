import { describe, expect, it } from 'vitest';
import { recordingEvents } from '../../../lib/controller/testing/recording.ts';
import type { KubeObject } from '../../../lib/kube/api.ts';
import { type Seeded, seeded } from '../../../lib/sys/testing/seeded.ts';
import { type IpPool, type IpReservation, poolObject, type RawEntry } from '../cluster/objects.ts';
import { NETWORK_STATUS } from '../sweep/network-status.ts';
import type { Mishap } from '../testing/fake-kube.ts';
import { FakeWatch } from '../testing/fake-watch.ts';
import { runRound } from './round.ts';

const RANGES = { 'blue-10.0.0.0-27': '10.0.0.0/27', 'blue-10.0.0.0-28': '10.0.0.0/28' } as const;
const OLD = new Date(Date.now() - 3_600_000).toISOString();
const MISHAPS: readonly Mishap[] = ['lost answer', 'lost request', 'late', 'refused', 500, 504, 409];

const addressAt = (key: number): string => `10.0.0.${key}`;

function cluster({ below, pick }: Seeded) {
  const server = new FakeWatch();
  for (const [at, range] of Object.values(RANGES).entries()) {
    const ipam = { type: 'whereabouts', network_name: 'blue', range };
    const nad: KubeObject & { spec: object } = {
      metadata: { name: `net-${at}`, namespace: 'lab' },
      spec: { config: JSON.stringify({ name: 'n', ipam }) },
    };
    server.put('network-attachment-definitions', nad);
  }
  // What pods really have: each address is one pod's.
  const owners = new Map<number, string>();
  for (let key = 1; key <= 12; key++) {
    if (below(3) > 0) {
      owners.set(key, `p${key}`);
    }
  }
  for (const [key, name] of owners) {
    const items = [{ name: `lab/net-${below(2)}`, interface: 'net1', ips: [addressAt(key)] }];
    const object = {
      metadata: {
        name,
        namespace: 'lab',
        creationTimestamp: OLD,
        annotations: { [NETWORK_STATUS]: JSON.stringify(items) },
      },
      status: { phase: 'Running' },
    };
    server.put('pods', object);
  }
  // What is recorded: right, of others, of nobody, missing.
  const anybody = (): string => `lab/${pick([...owners.values(), 'gone', 'lost'])}`;
  for (const [name, range] of Object.entries(RANGES)) {
    const allocations: Record<string, RawEntry> = {};
    for (let key = 1; key <= 12; key++) {
      const podref = below(3) === 0 ? anybody() : `lab/${owners.get(key) ?? 'gone'}`;
      if (below(2) === 0) {
        allocations[key] = { id: `c${below(4)}`, podref, ifname: 'net1' };
      }
    }
    server.put('ippools', poolObject('kube-system', name, { range, allocations }));
  }
  for (let key = 1; key <= 12; key++) {
    if (below(2) === 0) {
      const podref = below(3) === 0 ? anybody() : `lab/${owners.get(key) ?? 'gone'}`;
      const object: KubeObject & { spec: object } = {
        metadata: { name: `blue-${addressAt(key)}`, creationTimestamp: OLD },
        spec: { podref },
      };
      server.put('overlappingrangeipreservations', object);
    }
  }
  return { server, owners };
}

/** Entries of pods for addresses that they have, as `10.0.0.5 lab/p5`. */
function recorded(server: FakeWatch): {
  readonly entries: readonly string[];
  readonly reservations: readonly string[];
} {
  return {
    entries: server
      .all<IpPool>('ippools')
      .flatMap(({ spec }) =>
        Object.entries(spec.allocations ?? {}).map(([key, { podref }]) => `${addressAt(Number(key))} ${podref}`),
      ),
    reservations: server
      .all<IpReservation>('overlappingrangeipreservations')
      .map(({ metadata, spec }) => `${metadata.name.replace('blue-', '')} ${spec.podref}`),
  };
}

describe('rounds of the reconciler', () => {
  it('take nothing from a pod, whatever goes wrong, and have all in order in the end: 300 clusters at random', async () => {
    const random = seeded();
    for (let run = 0; run < 300; run++) {
      const { server, owners } = cluster(random);
      const right = new Set([...owners].map(([key, name]) => `${addressAt(key)} lab/${name}`));
      const kept = recorded(server).entries.filter((one) => right.has(one));
      const round = () =>
        runRound({
          api: server,
          events: recordingEvents(),
          graceMs: 300_000,
          pauseMs: 60_000,
          isEndEnough: false,
          flatFiles: [],
          nowMs: Date.now,
          looked: () => undefined,
          now: () => 0,
          sleep: async () => undefined,
          log: () => undefined,
        });
      server.use({ mishap: ({ verb }) => (verb !== 'LIST' && random.below(4) === 0 ? random.pick(MISHAPS) : 'none') });
      for (let at = 0; at < 3; at++) {
        await round();
        for (let turn = 0; turn < 20; turn++) {
          await new Promise((resolve) => setImmediate(resolve)); // what is late is carried out
        }
        const { entries } = recorded(server);
        expect(kept.filter((one) => !entries.includes(one), `seed ${random.seed}`)).toEqual([]);
      }
      server.use({});
      await round();
      await round();
      const { entries, reservations } = recorded(server);
      expect([...new Set(entries)].sort(), `seed ${random.seed}`).toEqual([...right].sort());
      expect([...reservations].sort(), `seed ${random.seed}`).toEqual([...right].sort());
      expect(await round()).toEqual({ freed: 0, removed: 0, protected: 0, claimed: 0, contested: 0, failures: 0 });
    }
  });
});
