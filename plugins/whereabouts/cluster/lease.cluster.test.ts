import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../../../conformance/cluster/cluster.ts';
import { applyCrds, applyRbac } from '../../../conformance/cluster/manifests.ts';
import { serviceAccountToken } from '../../../conformance/cluster/objects.ts';
import { expectSuccess } from '../../../conformance/cluster/request.ts';
import type { LazyClient } from '../../../lib/kube/lazy-client.ts';
import { clockOf } from '../../../lib/sys/clock.ts';
import { ClusterNode } from '../testing/cluster-node.ts';
import { accessTo } from './kube-access.ts';
import { Lease } from './lease.ts';
import type { LeaseObject } from './lease-object.ts';

const LEASES = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases';
const POOL = '/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system/ippools/10.1.0.0-24';
const TIMING = { durationMs: 1500, renewMs: 1000, retryMs: 100 };
/** Whoever is served late, by a machine with far too much to do, has still got it. */
const LONG = { durationMs: 60_000, renewMs: 40_000, retryMs: 100 };
const PATIENT = { deadline: Number.POSITIVE_INFINITY, silenceMs: 30_000 };
/** RFC3339Micro of Go, which demands six digits. */
const MICRO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;

let cluster: Cluster;
let kubeconfig: string;
const access: LazyClient[] = [];
const nodes: ClusterNode[] = [];

beforeAll(async () => {
  cluster = await startCluster();
  await Promise.all([applyCrds(cluster), applyRbac(cluster)]);
  const token = await serviceAccountToken(cluster, 'braid-whereabouts');
  kubeconfig = cluster.kubeconfig('whereabouts', { token, namespace: 'kube-system' });
});

afterAll(async () => {
  for (const one of [...nodes, ...access]) {
    one[Symbol.dispose]();
  }
  await cluster?.[Symbol.asyncDispose]();
});

async function leaseOf(name: string, identity: string, timing = TIMING): Promise<Lease> {
  const one = accessTo({ kubeconfig });
  access.push(one);
  const parts = { api: await one.open(), caller: clockOf(), wallClock: Date.now, random: Math.random };
  return new Lease({ ...parts, name, identity, timing });
}

const stored = (name: string) => expectSuccess<LeaseObject>(cluster.send(`${LEASES}/${name}`));

/** Who takes a lease as client-go does it: with a request that replaces the object, and its own clock. */
class GoElector {
  private seen = { text: '', at: 0 };
  private readonly name: string;
  private readonly identity: string;

  constructor(name: string, identity: string) {
    this.name = name;
    this.identity = identity;
  }

  async acquire(): Promise<void> {
    while (!(await this.isAcquired())) {
      await sleep(LONG.retryMs * (1 + 1.2 * Math.random()));
    }
  }

  async isAcquired(): Promise<boolean> {
    const { status, body } = await cluster.send(`${LEASES}/${this.name}`);
    const now = new Date().toISOString().replace('Z', '000Z');
    const times = { leaseDurationSeconds: LONG.durationMs / 1000, acquireTime: now, renewTime: now };
    if (status === 404) {
      const object = {
        metadata: { name: this.name },
        spec: { ...times, holderIdentity: this.identity, leaseTransitions: 0 },
      };
      return (await cluster.send(LEASES, { method: 'POST', body: object })).status === 201;
    }
    const lease = body as Required<LeaseObject>;
    const text = JSON.stringify(lease.spec);
    if (this.seen.text !== text) {
      this.seen = { text, at: performance.now() };
    }
    const { holderIdentity = '', leaseDurationSeconds = 0, leaseTransitions = 0 } = lease.spec;
    const isGood = this.seen.at + leaseDurationSeconds * 1000 > performance.now();
    if (holderIdentity !== '' && holderIdentity !== this.identity && isGood) {
      return false;
    }
    return this.put({
      ...lease,
      spec: { ...times, holderIdentity: this.identity, leaseTransitions: leaseTransitions + 1 },
    });
  }

  async release(): Promise<void> {
    const { spec, ...lease } = await stored(this.name);
    const now = new Date().toISOString().replace('Z', '000Z');
    await this.put({
      ...lease,
      spec: { ...spec, leaseDurationSeconds: 1, acquireTime: now, renewTime: now, holderIdentity: undefined },
    });
  }

  private async put(body: object): Promise<boolean> {
    return (await cluster.send(`${LEASES}/${this.name}`, { method: 'PUT', body })).status === 200;
  }
}

describe('a lease in a cluster', () => {
  it('is written as client-go reads it, and left as client-go leaves it', async () => {
    const one = await leaseOf('form', 'lab/a/id/0a');
    await one.acquire(PATIENT);
    expect((await stored('form')).spec).toEqual({
      holderIdentity: 'lab/a/id/0a',
      leaseDurationSeconds: 1, // of 1,500 ms
      acquireTime: expect.stringMatching(MICRO_TIME),
      renewTime: expect.stringMatching(MICRO_TIME),
      leaseTransitions: 0,
    });
    await one.release();
    const { spec } = await stored('form');
    expect([spec?.holderIdentity, spec?.leaseDurationSeconds, spec?.leaseTransitions]).toEqual([undefined, 1, 0]);
  });

  it('of a holder who was killed is overtaken, and the dead one finds that it is lost', async () => {
    const [dead, heir] = [await leaseOf('killed', 'lab/dead'), await leaseOf('killed', 'lab/heir')];
    await dead.acquire(PATIENT);
    await heir.acquire(PATIENT);
    expect((await stored('killed')).spec).toMatchObject({ holderIdentity: 'lab/heir', leaseTransitions: 1 });
    await expect(dead.confirm()).rejects.toThrow('cannot go on: lease "killed" is lost: "lab/heir" has it');
    await heir.confirm();
  });

  it('is had by one at most, with those who take it as client-go does among them', async () => {
    let inside = 0;
    const most: number[] = [];
    const work = async (): Promise<void> => {
      most.push(++inside);
      await sleep(20);
      inside--;
    };
    const ours = Array.from({ length: 6 }, async (_, index) => {
      const lease = await leaseOf('mixed', `lab/ours${index}`, LONG);
      for (let round = 0; round < 3; round++) {
        await lease.acquire(PATIENT);
        await lease.confirm();
        await work();
        await lease.release();
      }
    });
    const gos = Array.from({ length: 3 }, async (_, index) => {
      const elector = new GoElector('mixed', `lab/go${index}`);
      for (let round = 0; round < 3; round++) {
        await elector.acquire();
        await work();
        await elector.release();
      }
    });
    await Promise.all([...ours, ...gos]);
    expect([most.length, Math.max(...most)]).toEqual([27, 1]);
  });

  it('keeps nodes that change one pool apart, and gives every address once', async () => {
    const all = Array.from({ length: 4 }, () => {
      const one = new ClusterNode(kubeconfig, 'lease', LONG);
      nodes.push(one);
      return one;
    });
    const pods = Array.from({ length: 8 }, (_, pod) =>
      Array.from({ length: 4 }, (__, index) => `lab/p${pod} net${index} id${pod}`),
    );
    const given = await Promise.all(pods.map((pod, index) => all[index % all.length]?.add(pod, '10.1.0.0/24')));
    expect(new Set(given.flat()).size).toBe(32);
    const { spec } = await expectSuccess<{ spec: { allocations: object } }>(cluster.send(POOL));
    expect(Object.keys(spec.allocations)).toHaveLength(32);
    await Promise.all(pods.map((pod, index) => all[index % all.length]?.del(pod, '10.1.0.0/24')));
    expect(await expectSuccess(cluster.send(POOL))).toMatchObject({ spec: { allocations: {} } });
    const spans = all.flatMap(({ changes }) => changes).toSorted((a, b) => a.start - b.start);
    expect(spans.length).toBeGreaterThan(32);
    // Requests of different nodes never overlap in time.
    for (const [index, one] of spans.entries()) {
      const next = spans.slice(index + 1).find(({ node }) => node !== one.node);
      expect(next === undefined || one.end <= next.start).toBe(true);
    }
    expect((await stored('whereabouts')).spec?.holderIdentity).toBeUndefined();
  });
});
