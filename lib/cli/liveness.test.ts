import { describe, expect, it } from 'vitest';
import type { Scope } from '../cni/scope.ts';
import { fakeScope } from '../cni/testing/fake-scope.ts';
import type { DeviceFacts } from '../link/device.ts';
import { type Netns, NetnsMissing } from '../netns/netns.ts';
import { assess, type Evidence, type Liveness } from './liveness.ts';
import { findHomes, locate } from './located.ts';
import type { SeenNetns } from './namespaces.ts';
import type { NodeRecord } from './node.ts';

const ID = 'a'.repeat(64);
const CRI_PATH = '/var/run/netns/cni-01234567-89ab-cdef-0123-456789abcdef';
const NOW = 1_000_000_000_000;
const OLD = NOW - 60 * 60_000;

/** Of each path the namespace it leads to; '0' is the node's own. */
function scopeOn(namespaces: Readonly<Record<string, string>>): Scope {
  const netns = (path: string, identity: string): Netns => {
    const parts: Partial<Netns> = {
      path,
      identity,
      isSameAs: (other) => other.identity === identity,
      [Symbol.dispose]: () => undefined,
    };
    return parts as Netns;
  };
  const openNetns = (path: string) => {
    const identity = namespaces[path];
    if (identity === undefined) {
      throw new NetnsMissing(path);
    }
    return netns(path, identity);
  };
  return fakeScope({ node: { host: netns('', '0'), openNetns, bootId: 'b' } });
}

const record = (more: Partial<NodeRecord> = {}): NodeRecord => ({
  plugin: 'multus',
  containerId: ID,
  ifName: 'net1',
  network: 'blue',
  pod: '',
  netns: '/run/netns/a',
  addresses: [],
  device: '',
  sinceMs: NOW,
  place: '/x',
  release: {},
  ...more,
});

const seen = (more: Partial<SeenNetns> = {}): SeenNetns => ({
  path: '/run/netns/other',
  identity: '9',
  isHost: false,
  hasProcesses: true,
  links: [],
  addresses: [],
  ...more,
});

const evidence = async (scope: Scope, known: readonly NodeRecord[], more: Partial<Evidence>): Promise<Evidence> => ({
  sandboxes: undefined,
  namespaces: [],
  located: locate(await findHomes(scope, known), known),
  nowMs: NOW,
  ...more,
});

interface Circumstances extends Partial<Evidence> {
  /** where paths lead */
  readonly paths?: Readonly<Record<string, string>>;
  /** records of other containers */
  readonly others?: readonly NodeRecord[];
}

async function assessed(
  records: readonly NodeRecord[],
  { paths = {}, others = [], ...more }: Circumstances = {},
): Promise<Liveness> {
  return assess(records, await evidence(scopeOn(paths), [...records, ...others], more));
}

const state = async (...args: Parameters<typeof assessed>): Promise<string> => (await assessed(...args)).state;

/** A namespace with 10.0.0.1 on net1. */
const holder = seen({
  identity: '7',
  links: [{ index: 2, name: 'net1' } as DeviceFacts],
  addresses: [{ text: '10.0.0.1', prefix: 24, linkIndex: 2 }],
});
/** What only a store knows. */
const stored = record({ netns: '', addresses: ['10.0.0.1/24'], sinceMs: undefined });
/** A record of a pod whose namespace is gone. */
const ended = record({ addresses: ['10.0.0.1/24'] });

describe('assess', () => {
  it('believes the runtime that has the container', async () => {
    expect(await state([record()], { sandboxes: new Set([ID]) })).toBe('live');
  });
  it('goes by the namespace: existing, gone, or its path recycled to the one of the node', async () => {
    expect(await state([record()], { paths: { '/run/netns/a': '1' } })).toBe('live');
    expect(await state([record()])).toBe('dead');
    expect(await state([record()], { paths: { '/run/netns/a': '0' } })).toBe('dead');
    expect(await state([record(), record({ netns: '' })])).toBe('dead');
  });
  it('goes by what was recorded of the namespace itself before it goes by a path', async () => {
    const namespace = { boot: 'b', inode: '1' };
    const paths = { '/run/netns/a': '1' };
    expect(await state([record({ namespace })], { paths })).toBe('live');
    expect(await state([record({ namespace: { ...namespace, inode: '2' } })], { paths })).toBe('dead');
    expect(await state([record({ namespace: { ...namespace, boot: 'an earlier one' } })], { paths })).toBe('dead');
  });
  it('suspects what only a store knows, and leaves a recent ADD alone', async () => {
    expect(await state([stored])).toBe('suspect');
    expect(await state([record({ netns: '' })])).toBe('unclear');
    expect(await state([record({ netns: '', sinceMs: OLD })])).toBe('suspect');
  });
  it('finds the namespace of a pod in the record of a foreign network', async () => {
    const foreign = record({ plugin: '', ifName: 'eth0' });
    expect(await state([stored], { others: [foreign], paths: { '/run/netns/a': '1' } })).toBe('live');
  });
  it('calls a container dead whose namespace the runtime made and forgot, once no process is in it', async () => {
    const records = [record({ netns: CRI_PATH, sinceMs: OLD })];
    const empty = { sandboxes: new Set<string>(), namespaces: [seen({ identity: '5', hasProcesses: false })] };
    const paths = { [CRI_PATH]: '5' };
    expect(await state(records, { ...empty, paths })).toBe('dead');
    expect(await state(records, { namespaces: empty.namespaces, paths })).toBe('live');
    expect(await state([record({ netns: CRI_PATH })], { ...empty, paths })).toBe('live');
    expect(await state(records, { ...empty, namespaces: [seen({ identity: '5' })], paths })).toBe('live');
  });
});

describe('an address of the container in some namespace', () => {
  const paths = { '/run/netns/other': '7' };
  const other = (more: Partial<NodeRecord> = {}): NodeRecord =>
    record({ containerId: 'b', netns: '/run/netns/other', addresses: ['10.0.0.1/16'], ...more });

  it('keeps the container, and says where the address is', async () => {
    for (const records of [[ended], [stored]]) {
      expect(await assessed(records, { namespaces: [holder] })).toEqual({
        state: 'in-use',
        reason: 'its address 10.0.0.1 is in use on "net1" in namespace "/run/netns/other"',
      });
    }
  });
  it('is no evidence where another attachment has it: networks may have the same range', async () => {
    const circumstances = { namespaces: [holder], paths };
    expect(await state([ended], { ...circumstances, others: [other()] })).toBe('dead');
    expect(await state([stored], { ...circumstances, others: [other()] })).toBe('suspect');
    expect(await state([ended], { ...circumstances, others: [other({ plugin: '', ifName: '' })] })).toBe('dead');
  });
  it('is no evidence where two records of the other attachment know the namespace and the address', async () => {
    const halves = [other({ addresses: [], ifName: 'eth0' }), other({ netns: '' })];
    expect(await state([ended], { namespaces: [holder], paths, others: halves })).toBe('dead');
  });
  it('is evidence where the other attachment has it elsewhere', async () => {
    const circumstances = { namespaces: [holder], paths };
    expect(await state([ended], { ...circumstances, others: [other({ ifName: 'net2' })] })).toBe('in-use');
    expect(await state([ended], { ...circumstances, others: [other({ addresses: ['10.0.0.2/16'] })] })).toBe('in-use');
    expect(await state([ended], { ...circumstances, others: [other({ netns: '/run/netns/gone' })] })).toBe('in-use');
    const second = { ...holder, path: '/run/netns/second', identity: '8' };
    expect((await assessed([ended], { namespaces: [holder, second], paths, others: [other()] })).reason).toContain(
      'second',
    );
  });
  it('is the same address in any spelling', async () => {
    const v6 = { ...holder, addresses: [{ text: 'fd00::1', prefix: 64, linkIndex: 2 }] };
    expect(await state([record({ addresses: ['FD00:0:0::1/64'] })], { namespaces: [v6] })).toBe('in-use');
  });
  it("counts on the node itself only where the container's namespace is not recorded", async () => {
    const node = { ...holder, identity: '0', isHost: true };
    expect(await state([ended], { namespaces: [node] })).toBe('dead');
    expect(await assessed([stored], { namespaces: [node] })).toEqual({
      state: 'in-use',
      reason: 'its address 10.0.0.1 is in use on "net1" on the node itself',
    });
  });
});
