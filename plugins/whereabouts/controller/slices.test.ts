import { afterEach, describe, expect, it } from 'vitest';
import { recordingEvents } from '../../../lib/controller/testing/recording.ts';
import type { KubeObject } from '../../../lib/kube/api.ts';
import { makeMetrics } from '../../../lib/observe/metrics.ts';
import { clockOf } from '../../../lib/sys/clock.ts';
import { type NodeSlicePool, poolObject } from '../cluster/objects.ts';
import { FakeWatch } from '../testing/fake-watch.ts';
import { assignSlices } from './slices.ts';

const ending: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(ending.splice(0).map((end) => end()));
});

const BLUE = { network_name: 'blue', range: '10.0.0.0/24', node_slice_size: '/26' };

class Lab {
  readonly server = new FakeWatch();
  readonly told = recordingEvents();
  readonly lines: string[] = [];

  constructor() {
    this.server.isAnnouncing = true;
  }

  node(...names: readonly string[]): void {
    for (const name of names) {
      this.server.put('nodes', { metadata: { name } });
    }
  }

  nad(ipam: object, name = 'storage', namespace = 'kube-system'): void {
    const config = JSON.stringify({ name: `conf-${name}`, ipam: { type: 'whereabouts', ...ipam } });
    const object: KubeObject & { spec: object } = { metadata: { name, namespace }, spec: { config } };
    this.server.put('network-attachment-definitions', object);
  }

  /** Addresses of the slice of a node that somebody holds. */
  held(name: string, range: string, count = 1): void {
    const entries = Array.from({ length: count }, (_, at) => [at + 1, { id: 'c', podref: 'lab/a', ifname: 'net1' }]);
    this.server.put('ippools', poolObject('kube-system', name, { range, allocations: Object.fromEntries(entries) }));
  }

  slices(name = 'blue'): string | undefined {
    const object = this.server.all<NodeSlicePool>('nodeslicepools').find(({ metadata }) => metadata.name === name);
    return object?.status?.allocations?.map(({ nodeName, sliceRange }) => `${nodeName}=${sliceRange}`).join(' ');
  }

  async start(resyncMs = 60_000): Promise<void> {
    const stopping = new AbortController();
    const { signal } = stopping;
    const events = this.told;
    const log = (line: string) => this.lines.push(line);
    const host = { api: this.server, signal, events, metrics: makeMetrics(), options: {}, log, ...clockOf(signal) };
    const ended = assignSlices(host, { settleMs: 5, resyncMs, flatFiles: [] });
    ending.push(async () => {
      stopping.abort(new Error('over'));
      this.server.cut();
      await ended;
    });
    await until(() =>
      ['nodes', 'network-attachment-definitions', 'nodeslicepools'].every((one) => this.server.isWatched(one)),
    );
  }

  async quiet(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
}

async function until(what: () => boolean): Promise<void> {
  while (!what()) {
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

describe('the controller of slices', () => {
  it('cuts a range without nodes, and gives slices to nodes that join; those that leave give theirs back', async () => {
    const lab = new Lab();
    lab.nad(BLUE);
    await lab.start();
    await until(() => lab.slices() === '=10.0.0.0/26 =10.0.0.64/26 =10.0.0.128/26 =10.0.0.192/26');
    lab.node('w-2', 'w-1');
    await until(() => lab.slices() === 'w-1=10.0.0.0/26 w-2=10.0.0.64/26 =10.0.0.128/26 =10.0.0.192/26');
    lab.server.drop('nodes', 'w-1');
    lab.node('w-3');
    await until(() => lab.slices() === 'w-3=10.0.0.0/26 w-2=10.0.0.64/26 =10.0.0.128/26 =10.0.0.192/26');
    expect(lab.server.all<NodeSlicePool>('nodeslicepools')[0]).toMatchObject({
      spec: { range: '10.0.0.0/24', sliceSize: '/26' },
      metadata: { ownerReferences: [{ kind: 'NetworkAttachmentDefinition', name: 'storage', controller: true }] },
    });
  });

  it('passes over networks without slices, of other plugins and without ipam', async () => {
    const lab = new Lab();
    lab.nad({ ...BLUE, node_slice_size: '' }, 'whole');
    lab.nad({ ...BLUE, type: 'host-local' }, 'local');
    const empty: KubeObject & { spec: object } = {
      metadata: { name: 'none', namespace: 'lab' },
      spec: { config: '{}' },
    };
    lab.server.put('network-attachment-definitions', empty);
    lab.node('w-1');
    await lab.start();
    await lab.quiet();
    expect(lab.server.all('nodeslicepools')).toEqual([]);
  });

  it('writes nothing when nothing has changed, also after changes that mean nothing', async () => {
    const lab = new Lab();
    lab.nad(BLUE);
    lab.node('w-1');
    await lab.start();
    await until(() => lab.slices() !== undefined);
    const writes = () => lab.server.requests.filter(({ verb }) => verb === 'PATCH' || verb === 'POST').length;
    await lab.quiet();
    const before = writes();
    lab.nad({ ...BLUE, gateway: '10.0.0.1' });
    lab.node('w-1');
    await lab.quiet();
    expect([before, writes()]).toEqual([1, 1]);
  });

  it.each([
    ['range', { range: '10.1.0.0/24' }, 'w-1=10.1.0.0/26 =10.1.0.64/26 =10.1.0.128/26 =10.1.0.192/26'],
    ['size', { node_slice_size: '25' }, 'w-1=10.0.0.0/25 =10.0.0.128/25'],
    ['both', { range: '10.1.0.0/24', node_slice_size: '/25' }, 'w-1=10.1.0.0/25 =10.1.0.128/25'],
  ])('cuts anew when the %s changes', async (_, change, slices) => {
    const lab = new Lab();
    lab.nad(BLUE);
    lab.node('w-1');
    await lab.start();
    await until(() => lab.slices()?.startsWith('w-1=10.0.0.0/26') === true);
    lab.nad({ ...BLUE, ...change });
    await until(() => lab.slices() === slices);
  });

  it('gives a slice with live addresses to nobody else until they are gone', async () => {
    const lab = new Lab();
    lab.nad({ ...BLUE, range: '10.0.0.0/25' });
    lab.node('w-1', 'w-2');
    await lab.start(20);
    await until(() => lab.slices() === 'w-1=10.0.0.0/26 w-2=10.0.0.64/26');
    lab.held('blue-w-1-10.0.0.0-26', '10.0.0.0/26');
    lab.server.drop('nodes', 'w-1');
    lab.node('w-3');
    await until(() => lab.slices() === 'w-2=10.0.0.64/26 w-1=10.0.0.0/26');
    expect(lab.told.events[0]).toMatchObject({ reason: 'NodeSlicePoolFull', regarding: { name: 'blue' } });
    lab.held('blue-w-1-10.0.0.0-26', '10.0.0.0/26', 0);
    await until(() => lab.slices() === 'w-3=10.0.0.0/26 w-2=10.0.0.64/26');
  });

  it('finds slices with live addresses again when the object was deleted', async () => {
    const lab = new Lab();
    lab.nad(BLUE);
    lab.node('w-1', 'w-2');
    lab.held('blue-w-2-10.0.0.0-26', '10.0.0.0/26');
    await lab.start();
    await until(() => lab.slices() !== undefined);
    expect(lab.slices()).toBe('w-2=10.0.0.0/26 w-1=10.0.0.64/26 =10.0.0.128/26 =10.0.0.192/26');
  });

  it('keeps the object while one of two networks wants it, and deletes it with the last, once it is empty', async () => {
    const lab = new Lab();
    lab.nad(BLUE, 'one');
    lab.nad(BLUE, 'two', 'elsewhere');
    lab.node('w-1');
    await lab.start(20);
    await until(() => lab.slices() !== undefined);
    // an owner must be in the same namespace
    expect(lab.server.all<NodeSlicePool>('nodeslicepools')[0]?.metadata).not.toHaveProperty('ownerReferences');
    lab.server.drop('network-attachment-definitions', 'one');
    await lab.quiet();
    expect(lab.slices()).toMatch(/^w-1=10.0.0.0\/26/);
    lab.held('blue-w-1-10.0.0.0-26', '10.0.0.0/26');
    lab.server.drop('network-attachment-definitions', 'two');
    await lab.quiet();
    expect(lab.slices()).toBeDefined();
    lab.held('blue-w-1-10.0.0.0-26', '10.0.0.0/26', 0);
    await until(() => lab.slices() === undefined);
  });

  it('tells networks that contradict each other, and cuts the ranges of others; unnamed ones do not meet', async () => {
    const lab = new Lab();
    lab.nad(BLUE, 'one');
    lab.nad({ ...BLUE, range: '10.9.0.0/24' }, 'two');
    lab.nad({ range: '10.1.0.0/24', node_slice_size: '/26' }, 'three');
    lab.nad({ range: '10.2.0.0/24', node_slice_size: '/27' }, 'four');
    lab.node('w-1');
    await lab.start();
    await until(() => lab.slices('conf-three') !== undefined && lab.slices('conf-four') !== undefined);
    expect(lab.slices()).toBeUndefined();
    expect(lab.told.events.slice(0, 2).map(({ reason, regarding }) => [reason, regarding.name])).toEqual([
      ['NodeSliceRefused', 'one'],
      ['NodeSliceRefused', 'two'],
    ]);
  });

  it('decides anew when somebody else was faster', async () => {
    const lab = new Lab();
    lab.nad(BLUE);
    await lab.start();
    await until(() => lab.slices() !== undefined);
    let refusals = 1;
    lab.server.use({ mishap: ({ verb }) => (verb === 'PATCH' && refusals-- > 0 ? 409 : 'none') });
    lab.node('w-1');
    await until(() => lab.slices()?.startsWith('w-1=') === true);
    expect(lab.lines).toContainEqual(expect.stringContaining('cannot write NodeSlicePool "blue"'));
  });
});
