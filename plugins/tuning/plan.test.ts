import { describe, expect, it } from 'vitest';
import type { Mac } from '../../lib/net/mac.ts';
import { planTuning, refuseUnfit, resultOf } from './plan.ts';
import type { Owner } from './record.ts';

const OLD = '02:00:00:00:00:01' as Mac;
const NEW = '02:00:00:00:00:07' as Mac;
const THERE = { mac: OLD, isPromiscuous: false, mtu: 1500, isAllMulticast: false, txQueueLength: 1000 };
const OWNER: Owner = {
  network: 'n',
  containerId: 'c1',
  ifName: 'net1',
  netns: '/run/netns/a',
  namespace: { boot: 'b', inode: '4:5', cookie: 6 },
  link: 7,
};
const plan = (wanted: object, earlier?: { before: object; owner: Owner | undefined }, there: object = THERE) =>
  planTuning(wanted, { there, earlier, owner: OWNER });

describe('planTuning', () => {
  it('records what the link has of what is asked for, and changes what differs', () => {
    expect(plan({ mac: NEW, mtu: 1500, isAllMulticast: true })).toEqual({
      record: { before: { mac: OLD, mtu: 1500, isAllMulticast: false }, owner: OWNER },
      change: { mac: NEW, isAllMulticast: true },
    });
  });

  it('records nothing when nothing of the link is asked for', () => {
    expect(plan({})).toEqual({ record: undefined, change: {} });
  });

  it('keeps what an earlier call has recorded of the same link, and adds to it', () => {
    const earlier = { before: { mtu: 1500 }, owner: { ...OWNER, network: 'other', netns: '/elsewhere' } };
    const { record } = plan({ mtu: 1300, txQueueLength: 5 }, earlier, { ...THERE, mtu: 1400 });
    expect(record).toEqual({ before: { mtu: 1500, txQueueLength: 1000 }, owner: OWNER });
  });

  it.each<[string, Partial<Owner>]>([
    ['link', { link: 8 }],
    ['container', { containerId: 'c2' }],
    ['interface', { ifName: 'net2' }],
    ['boot', { namespace: { boot: 'x', inode: '4:5', cookie: 6 } }],
    ['namespace', { namespace: { boot: 'b', inode: '4:6', cookie: 6 } }],
    ['life of the namespace', { namespace: { boot: 'b', inode: '4:5', cookie: 7 } }],
  ])('takes nothing from the record of another %s', (_, other) => {
    const earlier = { before: { mac: NEW, mtu: 9000 }, owner: { ...OWNER, ...other } };
    expect(plan({ mtu: 1400 }, earlier).record?.before).toEqual({ mtu: 1500 });
  });

  it.each([
    ['was changed by Go', { ...THERE, mtu: 1400, mac: NEW }],
    ['was not changed yet', { ...THERE, mtu: 9000 }],
    ['was half changed', { ...THERE, mtu: 9000, mac: NEW }],
  ])('keeps what Go has recorded of a link that %s', (_, there) => {
    const earlier = { before: { mac: OLD, mtu: 9000 }, owner: undefined };
    expect(plan({ mtu: 1400, mac: NEW }, earlier, there).record?.before).toEqual({ mac: OLD, mtu: 9000 });
  });

  it('takes nothing from a record of Go when the link has something else', () => {
    const earlier = { before: { mac: '02:00:00:00:00:99' as Mac, mtu: 1500 }, owner: undefined };
    expect(plan({ mtu: 1400 }, earlier).record?.before).toEqual({ mtu: 1500 });
  });
});

describe('refuseUnfit', () => {
  const previous = { interfaces: [], ips: [{ address: 'fd00::3/64' }], routes: [], dns: {} };

  it('refuses an address of another length, and an MTU that takes IPv6 away', () => {
    expect(() => refuseUnfit({ mac: NEW, mtu: 1280 }, THERE, previous)).not.toThrow();
    expect(() => refuseUnfit({ mac: '02:00:00:00:00:01:02:03' as Mac }, THERE, previous)).toThrow(
      'cannot use "mac" "02:00:00:00:00:01:02:03": that of the interface has 6 bytes',
    );
    expect(() => refuseUnfit({ mac: NEW }, {}, previous)).toThrow('the interface has none');
    expect(() => refuseUnfit({ mtu: 1279 }, THERE, previous)).toThrow(
      'cannot use "mtu" 1279: the interface would lose its address "fd00::3/64", IPv6 needs 1280',
    );
    expect(() => refuseUnfit({ mtu: 1279 }, THERE, { ...previous, ips: [{ address: '10.1.2.3/24' }] })).not.toThrow();
  });
});

describe('resultOf', () => {
  const call = { ifName: 'net1', netnsPath: '/a' };
  const result = (...interfaces: readonly object[]) => ({
    interfaces: interfaces.map((one) => ({ name: 'net1', ...one })),
    ips: [],
    routes: [],
    dns: {},
  });

  it.each([
    ['in its sandbox', [{ sandbox: '/b' }, { sandbox: '/a' }, {}], 1],
    ['in another sandbox', [{}, { sandbox: '/b' }], 1],
    ['without a sandbox', [{ sandbox: '/a', name: 'x' }, {}], 1],
  ])('changes the interface %s', (_, interfaces, index) => {
    const changed = resultOf(result(...interfaces), call, { mac: NEW, mtu: 1400 });
    expect(changed.interfaces.map(({ mac, mtu }) => [mac, mtu])).toEqual(
      interfaces.map((__, at) => (at === index ? [NEW, 1400] : [undefined, undefined])),
    );
  });

  it('leaves all as it is when neither address nor MTU are asked for', () => {
    const before = result({ sandbox: '/a', mac: OLD, mtu: 9000 });
    expect(resultOf(before, call, { isPromiscuous: true })).toEqual(before);
  });
});
