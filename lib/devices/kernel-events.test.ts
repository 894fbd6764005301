import { describe, expect, it } from 'vitest';
import { encodeLink } from '../netlink/codec/link.ts';
import { encodeAll } from '../netlink/message.ts';
import { changesInRoutes, changesInUevent, together } from './kernel-events.ts';

const uevent = (path: string, subsystem: string): Buffer =>
  Buffer.from(`add@${path}\0ACTION=add\0DEVPATH=${path}\0SUBSYSTEM=${subsystem}\0SEQNUM=1\0`);

const BRIDGE = '/devices/pci0000:00/0000:00:01.0';

describe('an event of the kernel about devices', () => {
  it.each<[path: string, subsystem: string, ids: readonly string[] | undefined]>([
    [`${BRIDGE}/0000:01:10.0`, 'pci', ['0000:01:10.0']],
    [`${BRIDGE}/0000:01:00.0/net/eth5`, 'net', ['0000:01:00.0']],
    [`${BRIDGE}/0000:01:00.0/virtio3/net/eth5`, 'net', ['0000:01:00.0']],
    [`${BRIDGE}/0000:01:00.0/infiniband_verbs/uverbs3`, 'infiniband_verbs', ['0000:01:00.0']],
    [`${BRIDGE}/0000:01:00.0/mlx5_core.sf.4/net/eth7`, 'net', ['mlx5_core.sf.4']],
    [`${BRIDGE}/0000:01:00.0/mlx5_core.rdma.0`, 'auxiliary', ['mlx5_core.rdma.0', '0000:01:00.0']],
    ['/devices/virtual/misc/rdma_cm', 'misc', []],
    ['/devices/virtual/misc/vhost-net', 'misc', undefined],
    ['/devices/virtual/net/veth1234', 'net', undefined],
    [`${BRIDGE}/0000:01:00.0/host0`, 'block', undefined],
    [`${BRIDGE}/0000:01:00.0`, 'pci_express', undefined],
  ])('says which: %s of %s', (path, subsystem, ids) => {
    expect(changesInUevent(uevent(path, subsystem))).toEqual(ids && new Set(ids));
  });

  it('may be none', () => {
    expect(changesInUevent(Buffer.from(''))).toBeUndefined();
    expect(changesInUevent(Buffer.from('libudev\0garbage'))).toBeUndefined();
  });
});

describe('an event of the kernel about links and routes', () => {
  const message = (type: number, ...body: readonly Uint8Array[]): Buffer =>
    encodeAll([{ type, body, operation: 'tell' }], 0, 0);
  const link = (kind?: string) =>
    message(16, ...encodeLink({ index: 3 }, { ifName: 'a', ...(kind && { linkInfo: { kind } }) }));
  const route = (prefix: number) => message(24, Buffer.from([2, prefix, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0]));

  it.each<[string, Buffer, boolean]>([
    ['a card', link(), true],
    ['a bond', link('bond'), true],
    ['a pair', link('veth'), false],
    ['a default route', route(0), true],
    ['a route of a pod', route(32), false],
    ['a pair and a default route', Buffer.concat([link('veth'), route(0)]), true],
    ['something else', message(28), false],
  ])('matters or not: %s', (_, event, matters) => {
    expect(changesInRoutes(event)).toEqual(matters ? new Set() : undefined);
  });
});

describe('changes', () => {
  it('add up', () => {
    expect(together(new Set(['a']), new Set(['b']))).toEqual(new Set(['a', 'b']));
    expect(together(new Set(['a']), 'all')).toBe('all');
    expect(together('all', new Set())).toBe('all');
  });
});
