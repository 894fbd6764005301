import { describe, expect, it } from 'vitest';
import type { Host } from '../cni/plugin.ts';
import { attachedIn, attachedTable } from './list.ts';
import type { NodeRecord } from './node.ts';

/** A node on which these paths are namespaces. */
const hostWith = (...paths: readonly string[]): Host =>
  ({
    netns: {},
    openNetns: (path: string) => {
      if (!paths.includes(path)) {
        throw new Error('missing');
      }
      return { identity: path, isSameAs: () => false, [Symbol.dispose]: () => undefined };
    },
  }) as unknown as Host;

const record = (more: Partial<NodeRecord> = {}): NodeRecord => ({
  plugin: 'whereabouts',
  containerId: 'a',
  ifName: 'net1',
  network: '',
  pod: '',
  netns: '',
  addresses: [],
  device: '',
  sinceMs: undefined,
  place: '/x',
  release: {},
  ...more,
});

describe('attachedIn', () => {
  it('merges the records of an interface, and what other interfaces of the container have recorded', () => {
    const records = [
      record({ addresses: ['10.0.0.1/24'], place: '/store' }),
      record({ plugin: '', network: 'node', addresses: ['10.0.0.1/24'], sinceMs: 5 }),
      record({ plugin: '', ifName: 'eth0', pod: 'lab/db', netns: '/run/netns/a' }),
    ];
    expect(attachedIn(hostWith('/run/netns/a'), records)).toMatchObject([
      { ifName: 'eth0', pod: 'lab/db', namespace: 'there' },
      {
        ifName: 'net1',
        pod: 'lab/db',
        netns: '/run/netns/a',
        network: 'node',
        addresses: ['10.0.0.1/24'],
        sinceMs: 5,
        namespace: 'there',
        places: ['/store', '/x'],
      },
    ]);
  });
  it('calls a namespace gone only when no path that is recorded leads to one', () => {
    const records = [record({ netns: '/proc/7/ns/net' }), record({ plugin: '', netns: '/run/netns/a' })];
    const namespace = (...paths: readonly string[]) => attachedIn(hostWith(...paths), records)[0]?.namespace;
    expect([namespace('/run/netns/a'), namespace('/proc/7/ns/net'), namespace()]).toEqual(['there', 'there', 'gone']);
    expect(attachedIn(hostWith(), [record()])[0]?.namespace).toBe('unknown');
  });
});

describe('attachedTable', () => {
  const lastLine = (...records: readonly NodeRecord[]) => attachedTable(attachedIn(hostWith(), records), 0).at(-1);
  it('says how many attachments there are, and what collects those of dead pods', () => {
    expect(lastLine()).toBe('no attachments recorded on this node');
    expect(lastLine(record())).toBe('1 attachment');
    expect(lastLine(record(), record({ containerId: 'b', netns: '/gone' }))).toBe(
      '2 attachments, 1 whose namespace is gone: run "braid gc"',
    );
  });
});
