import { describe, expect, it } from 'vitest';
import { fakeScope } from '../../../lib/cni/testing/fake-scope.ts';
import { isRepairable } from '../audit.ts';
import type { IpPool } from '../cluster/objects.ts';
import { FakeKube } from '../testing/fake-kube.ts';
import { clusterAt, putNad, putPod, putPool, putReservation } from '../testing/surveyed.ts';
import { freeInCluster } from './free.ts';
import { judge, podrefsIn } from './judge.ts';
import { listPods, lookAtPods } from './read-pods.ts';
import { survey } from './survey.ts';

const RANGE = '10.0.0.0/24';
const NAME = '10.0.0.0-24';
const SCOPE = fakeScope({ sleep: async () => undefined });

async function seen(kube: FakeKube, here: readonly string[] = []) {
  const all = await survey(clusterAt(kube), []);
  const pods = await listPods(kube, podrefsIn(all));
  return {
    survey: all,
    troubles: judge({ survey: all, pods, isKnownHere: (id) => here.includes(id), nowMs: Date.now() }),
  };
}

const kindsOf = async (kube: FakeKube, here?: readonly string[]) =>
  (await seen(kube, here)).troubles.map(({ trouble: { kind, text } }) => `${kind}: ${text}`);

describe('judge', () => {
  it('finds entries whose pod is gone or has other addresses, and leaves alone whom this node knows', async () => {
    const kube = new FakeKube();
    putPod(kube, 'lab/a', '10.0.0.1');
    putPod(kube, 'lab/b', '10.0.0.99');
    putPod(kube, 'lab/c');
    putPool(kube, NAME, RANGE, {
      1: 'lab/a net1 idA',
      2: 'lab/b net1 idB',
      3: 'lab/c net1 idC',
      4: 'lab/gone net1 idG',
      5: 'lab/here net1 idH',
      6: ' net1 idNoPod',
    });
    for (const [key, pod] of Object.entries({ 1: 'lab/a', 2: 'lab/b', 3: 'lab/c', 4: 'lab/gone', 5: 'lab/here' })) {
      putReservation(kube, `10.0.0.${key}`, pod);
    }
    expect(await kindsOf(kube, ['idH'])).toEqual([
      'unclear: 10.0.0.2 is reserved for lab/b net1, whose network status does not name it',
      'leak: 10.0.0.4 is reserved for lab/gone net1, which is gone',
    ]);
  });

  it('finds reservations that nobody or somebody else holds, and waits for those that are on their way', async () => {
    const kube = new FakeKube();
    for (const pod of ['lab/a', 'lab/b', 'lab/young']) {
      putPod(kube, pod);
    }
    putPod(kube, 'lab/has-it', '10.0.0.4');
    putPool(kube, NAME, RANGE, { 1: 'lab/a net1 idA' });
    putPool(kube, `blue-${NAME}`, RANGE, { 2: 'lab/b net1 idB' });
    putReservation(kube, '10.0.0.1', 'lab/other');
    putReservation(kube, 'blue-10.0.0.2', 'lab/b');
    putReservation(kube, '10.0.0.3', 'lab/gone');
    putReservation(kube, 'blue-10.0.0.3', 'lab/young', 1000);
    putReservation(kube, 'blue-10.0.0.4', 'lab/has-it');
    putReservation(kube, '10.0.0.5', 'lab/a');
    expect(await kindsOf(kube)).toEqual([
      'duplicate: 10.0.0.1 is kept from all ranges for lab/other net1, but held by lab/a',
      'orphan: 10.0.0.3 is kept from all ranges for lab/gone net1, but no pool has it',
      'unclear: blue-10.0.0.3 is kept from all ranges for lab/young net1, and no pool has it: the pod may have it, or be about to',
      'unclear: blue-10.0.0.4 is kept from all ranges for lab/has-it net1, and no pool has it: the pod may have it, or be about to',
      'orphan: 10.0.0.5 is kept from all ranges for lab/a net1, but no pool has it',
    ]);
  });

  it('finds addresses that nothing keeps from other ranges, where configurations say that something should', async () => {
    const kube = new FakeKube();
    putPod(kube, 'lab/a');
    putPool(kube, NAME, RANGE, { 1: 'lab/a net1 idA' });
    putPool(kube, `blue-${NAME}`, RANGE, { 2: 'lab/a net1 idA' });
    putNad(kube, 'n', { range: RANGE });
    putNad(kube, 'b', { range: RANGE, network_name: 'blue', enable_overlapping_ranges: false });
    expect(await kindsOf(kube)).toEqual([
      'unprotected: 10.0.0.1 of lab/a net1 is not kept from the other ranges of its network: another pod may get it there',
    ]);
  });

  it('says nothing of pods that cannot be asked for', async () => {
    const kube = new FakeKube();
    putPool(kube, NAME, RANGE, { 1: 'lab/a net1 idA' });
    const all = await survey(clusterAt(kube), []);
    kube.use({ mishap: ({ plural }) => (plural === 'pods' ? 'refused' : 'none') });
    const pods = await listPods(kube, ['lab/a', 'no-pod']);
    expect(judge({ survey: all, pods, isKnownHere: () => false, nowMs: 0 })).toEqual([]);
    expect(pods.unasked).toEqual([
      'connect ECONNREFUSED: whether pods of "lab" still use their addresses is not checked',
    ]);
    expect((await lookAtPods(kube, ['lab/a'])).of('lab/a')).toBe('unknown');
  });
});

describe('what is repaired', () => {
  const held = (kube: FakeKube): readonly string[] =>
    kube.all<IpPool>('ippools').flatMap(({ spec }) => Object.keys(spec.allocations ?? {}));
  const reserved = (kube: FakeKube): readonly string[] =>
    kube.all('overlappingrangeipreservations').map(({ metadata }) => metadata.name);

  async function repaired(kube: FakeKube, meanwhile: () => void = () => undefined) {
    const { survey: all, troubles } = await seen(kube);
    meanwhile();
    const wanted = troubles.map(({ trouble }) => trouble).filter(isRepairable);
    const forgotten: string[] = [];
    await freeInCluster(
      all,
      {
        entries: wanted.flatMap(({ inCluster }) => inCluster?.entry ?? []),
        reservations: wanted.flatMap(({ inCluster }) => inCluster?.reservation ?? []),
        forget: async (_, freed) => void forgotten.push(...freed.map(({ key }) => key)),
      },
      SCOPE,
    );
    return forgotten;
  }

  function leaking(): FakeKube {
    const kube = new FakeKube();
    putPod(kube, 'lab/a', '10.0.0.1');
    putPool(kube, NAME, RANGE, { 1: 'lab/a net1 idA', 2: 'lab/gone net1 idG', 3: 'lab/back net1 idOld' });
    putReservation(kube, '10.0.0.1', 'lab/a');
    putReservation(kube, '10.0.0.2', 'lab/gone');
    putReservation(kube, '10.0.0.3', 'lab/back');
    putReservation(kube, '10.0.0.9', 'lab/nobody');
    return kube;
  }

  it('is an entry with its reservation, and a reservation that nobody holds', async () => {
    const kube = leaking();
    expect(await repaired(kube)).toEqual(['2', '3']);
    expect([held(kube), reserved(kube)]).toEqual([['1'], ['10.0.0.1']]);
  });

  it('is of a slice, whose reservations bear the name of the network alone', async () => {
    const kube = new FakeKube();
    putNad(kube, 'n', { network_name: 'blue', range: '10.0.0.0/16', node_slice_size: '/24' });
    putPool(kube, `blue-w-7-${NAME}`, RANGE, { 2: 'lab/gone net1 idG' });
    putReservation(kube, 'blue-10.0.0.2', 'lab/gone');
    await repaired(kube);
    expect([held(kube), reserved(kube)]).toEqual([[], []]);
  });

  it('never is what has come back meanwhile', async () => {
    const kube = leaking();
    const back = () => {
      putPool(kube, NAME, RANGE, { 1: 'lab/a net1 idA', 2: 'lab/gone net1 idG', 3: 'lab/back net1 idNew' });
      putReservation(kube, '10.0.0.9', 'lab/nobody'); // claimed anew
    };
    expect(await repaired(kube, back)).toEqual(['2']);
    expect([held(kube), reserved(kube)]).toEqual([
      ['1', '3'],
      ['10.0.0.1', '10.0.0.3', '10.0.0.9'],
    ]);
  });

  it('is all of a pool that is gone meanwhile', async () => {
    const kube = leaking();
    expect(await repaired(kube, () => kube.drop('ippools', NAME))).toEqual(['2', '3']);
    expect(reserved(kube)).toEqual(['10.0.0.1']);
  });

  it.each(['lost answer', 'lost request', 409, 504] as const)('is done when a patch meets %s', async (mishap) => {
    const kube = leaking();
    let left = 1;
    kube.use({ mishap: ({ verb }) => (verb === 'PATCH' && left-- > 0 ? mishap : 'none') });
    expect(await repaired(kube)).toEqual(['2', '3']);
    expect([held(kube), reserved(kube)]).toEqual([['1'], ['10.0.0.1']]);
  });
});
