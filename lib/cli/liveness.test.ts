import { describe, expect, it } from 'vitest';
import type { Host } from '../cni/plugin.ts';
import type { Netns } from '../netns/netns.ts';
import { type Evidence, judge } from './liveness.ts';
import type { SeenNetns } from './namespaces.ts';
import type { NodeRecord } from './node.ts';

const ID = 'a'.repeat(64);
const CRI_PATH = '/var/run/netns/cni-01234567-89ab-cdef-0123-456789abcdef';
const NOW = 1_000_000_000_000;
const OLD = NOW - 60 * 60_000;

/** Of each path the namespace it leads to; '0' is the node's own. */
function hostWith(namespaces: Readonly<Record<string, string>>): Host {
  const netns = (identity: string) => ({
    identity,
    isSameAs: (other: Netns) => other.identity === identity,
    [Symbol.dispose]: () => undefined,
  });
  const openNetns = (path: string) => {
    const identity = namespaces[path];
    if (identity === undefined) {
      throw new Error('missing');
    }
    return netns(identity);
  };
  return { netns: netns('0'), openNetns } as unknown as Host;
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
  isInhabited: true,
  links: [],
  addresses: [],
  ...more,
});

const evidence = (more: Partial<Evidence> = {}): Evidence => ({
  sandboxes: undefined,
  namespaces: [],
  nowMs: NOW,
  ...more,
});

const verdict = (records: readonly NodeRecord[], more: Partial<Evidence> = {}, paths = {}): string =>
  judge(hostWith(paths), records, evidence(more)).verdict;

describe('judge', () => {
  it('believes the runtime that has the container', () => {
    expect(verdict([record()], { sandboxes: new Set([ID]) })).toBe('alive');
  });
  it('goes by the namespace: there, gone, or recycled into the own one of the node', () => {
    expect(verdict([record()], {}, { '/run/netns/a': '1' })).toBe('alive');
    expect(verdict([record()])).toBe('dead');
    expect(verdict([record()], {}, { '/run/netns/a': '0' })).toBe('dead');
    expect(verdict([record(), record({ netns: '' })])).toBe('dead');
  });
  it('does not take a container for dead whose address is somewhere', () => {
    const holder = seen({ addresses: [{ text: '10.0.0.1', prefix: 24, linkIndex: 2 }] });
    const records = [record({ addresses: ['10.0.0.1/24'] })];
    expect(verdict(records, { namespaces: [holder] })).toBe('alive');
    expect(verdict(records, { namespaces: [{ ...holder, isHost: true }] })).toBe('dead');
  });
  it('calls lost what only a store knows, and unclear what has just begun', () => {
    expect(verdict([record({ netns: '', addresses: ['10.0.0.1/24'], sinceMs: undefined })])).toBe('lost');
    expect(verdict([record({ netns: '' })])).toBe('unknown');
    expect(verdict([record({ netns: '', sinceMs: OLD })])).toBe('lost');
  });
  it('takes a namespace for forgotten that a runtime made, does not know any more, and nobody is in', () => {
    const records = [record({ netns: CRI_PATH, sinceMs: OLD })];
    const empty = { sandboxes: new Set<string>(), namespaces: [seen({ identity: '5', isInhabited: false })] };
    const paths = { [CRI_PATH]: '5' };
    expect(verdict(records, empty, paths)).toBe('dead');
    expect(verdict(records, { ...empty, sandboxes: undefined }, paths)).toBe('alive');
    expect(verdict([record({ netns: CRI_PATH })], empty, paths)).toBe('alive');
    expect(verdict(records, { ...empty, namespaces: [seen({ identity: '5' })] }, paths)).toBe('alive');
  });
});
