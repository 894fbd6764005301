import { describe, expect, it } from 'vitest';
import { attachedIn, attachedTable } from './list.ts';
import type { Homes } from './located.ts';
import type { NodeRecord } from './node.ts';

const HOMES: Homes = new Map([
  ['a', { path: '/run/netns/a', identity: '4:7' }],
  ['b', { path: '/gone', identity: undefined }],
]);

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
    expect(attachedIn(HOMES, records)).toMatchObject([
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
  it('says whether the namespace exists', () => {
    const namespace = (containerId: string) => attachedIn(HOMES, [record({ containerId })])[0]?.namespace;
    expect(['a', 'b', 'c'].map(namespace)).toEqual(['there', 'gone', 'unknown']);
  });
});

describe('attachedTable', () => {
  const lastLine = (...records: readonly NodeRecord[]) => attachedTable(attachedIn(HOMES, records), 0).at(-1);
  it('says how many attachments there are, and what collects those of dead pods', () => {
    expect(lastLine()).toBe('no attachments recorded on this node');
    expect(lastLine(record())).toBe('1 attachment');
    expect(lastLine(record(), record({ containerId: 'b', netns: '/gone' }))).toBe(
      '2 attachments, 1 whose namespace is gone: run "braid gc"',
    );
  });
});
