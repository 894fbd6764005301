import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { decodeLink, encodeLink } from '../netlink/codec/link.ts';
import { decodeVfs, UNSUPPORTED, type VfAttributes, VfTable } from '../netlink/codec/vf.ts';
import { Conversation } from '../netlink/conversation.ts';
import { type Answer, FakeTransport } from '../netlink/testing/fake-transport.ts';
import { temporaryFolder } from '../sys/testing/temporary.ts';
import { mac } from '../testing/mac.ts';
import { findPf, NO_MAC, readVf, vfOf } from './vf.ts';
import { describeVf, pendingChanges, setVf, VfRefused } from './vf-change.ts';

const link = encodeLink({ index: 7 }, { ifName: 'p1', mtu: 9000 });
const entry = (vf: number, more: VfAttributes = {}): VfAttributes => ({
  mac: { vf, mac: Buffer.from([2, 0, 0, 0, 0, vf]) },
  ...more,
});

/** One attribute, of a length that needs no padding. */
function attribute(number: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from(Uint16Array.of(4 + value.length, number).buffer), value]);
}

/** What the kernel answers of a PF. */
function pfAnswer(count: number, entries: readonly VfAttributes[], change = (list: Buffer): Buffer => list): Answer {
  const infos = entries.map((one) => attribute(1, Buffer.concat(VfTable.encode(one))));
  const list = attribute(22, Buffer.concat(infos));
  const counted = attribute(21, Buffer.from(Uint32Array.of(count).buffer));
  return { type: 16, body: Buffer.concat([...link, counted, change(list)]) };
}

const refusal = (errno: number): Answer => ({
  type: 2,
  body: Buffer.concat([Buffer.from(Int32Array.of(-errno).buffer), Buffer.alloc(16)]),
});
const EMSGSIZE = 90;
const EOPNOTSUPP = 95;
const withAnswers = (...answers: readonly (readonly Answer[])[]) => {
  const transport = new FakeTransport(answers);
  return { transport, netlink: new Conversation(() => transport) };
};

describe('a VF', () => {
  it('is identified by its number, not by its place', { tags: 'sriov/vf-number' }, async () => {
    const { netlink } = withAnswers([pfAnswer(3, [entry(2), entry(0)])]);
    expect((await readVf(netlink, { name: 'p1' }, 2)).mac).toBe('02:00:00:00:00:02');
  });

  it('is read with everything that the kernel tells', async () => {
    const all = entry(1, {
      vlan: { vf: 1, vlan: 5, qos: 3 },
      vlanList: { info: { vf: 1, vlan: 5, qos: 3, protocol: 0x88a8 } },
      spoofCheck: { vf: 1, setting: 1 },
      trust: { vf: 1, setting: UNSUPPORTED },
      rate: { vf: 1, min: 10, max: 20 },
      linkState: { vf: 1, state: 2 },
    });
    const { netlink } = withAnswers([pfAnswer(2, [all])]);
    const pf = await findPf(netlink, { name: 'p1' });
    expect(pf).toMatchObject({ name: 'p1', index: 7, mtu: 9000, vfCount: 2 });
    expect(pf?.vfs).toEqual([
      {
        number: 1,
        mac: mac('02:00:00:00:00:01'),
        vlan: { id: 5, qos: 3, protocol: '802.1ad' },
        spoofCheck: true,
        trust: undefined,
        rate: { min: 10, max: 20 },
        linkState: 'disable',
      },
    ]);
  });

  it.each<[string, Answer, number, string]>([
    ['is out of bounds', pfAnswer(2, [entry(0), entry(1)]), 2, 'cannot read VF 2 of "p1": it has 2'],
    ['is not told of by the driver', pfAnswer(0, []), 0, 'the driver tells of no VF'],
    ['is behind the end of a list', pfAnswer(300, [entry(0)]), 290, 'make fewer (sriov_numvfs)'],
  ])('that %s has an error that says what to do', async (_, answer, number, message) => {
    const { netlink } = withAnswers([answer]);
    await expect(readVf(netlink, { name: 'p1' }, number)).rejects.toThrow(message);
  });

  it('is read from the whole beginning of a list whose length has lost its upper bits', async () => {
    const cut = (list: Buffer): Buffer => {
      list.writeUInt16LE(list.length - 20, 0);
      return list;
    };
    const entries = [0, 1, 2].map((vf) => entry(vf));
    const { netlink } = withAnswers([pfAnswer(300, entries, cut)], [{ type: 16, body: Buffer.concat(link) }]);
    const pf = await findPf(netlink, { name: 'p1' });
    expect([pf?.index, pf?.vfCount, pf?.vfs.map(({ number }) => number)]).toEqual([7, 300, [0, 1]]);
  });

  it('is read from sysfs where the kernel has no room for it', async () => {
    using folder = temporaryFolder();
    mkdirSync(join(folder.path, 'sriov/290'), { recursive: true });
    const config = [
      'VF         : 290',
      'MAC        : 02:00:00:00:00:22',
      'VLAN       : 7',
      'QoS        : 1',
      'VLAN Proto : 802.1ad',
      'SpoofCheck : ON',
      'Trust      : OFF',
      'LinkState  : Follow',
      'MinTxRate  : 0',
      'MaxTxRate  : 100',
    ];
    writeFileSync(join(folder.path, 'sriov/290/config'), config.join('\n'));
    const { netlink } = withAnswers([refusal(EMSGSIZE)], [{ type: 16, body: Buffer.concat(link) }]);
    const device = { bus: 'pci', name: '0000:01:00.0', folder: folder.path } as const;
    expect(await readVf(netlink, { name: 'p1', device }, 290)).toEqual({
      number: 290,
      mac: mac('02:00:00:00:00:22'),
      vlan: { id: 7, qos: 1, protocol: '802.1ad' },
      spoofCheck: true,
      trust: false,
      rate: { min: 0, max: 100 },
      linkState: 'auto',
    });
  });

  it.each([
    ['MAC', 'MAC : rubbish'],
    ['VLAN', 'MAC : 02:00:00:00:00:22\nVLAN : many'],
  ])('cannot be read from sysfs when its %s makes no sense there', async (_, config) => {
    using folder = temporaryFolder();
    mkdirSync(join(folder.path, 'sriov/290'), { recursive: true });
    writeFileSync(join(folder.path, 'sriov/290/config'), config);
    const { netlink } = withAnswers([refusal(EMSGSIZE)], [{ type: 16, body: Buffer.concat(link) }]);
    const device = { bus: 'pci', name: '0000:01:00.0', folder: folder.path } as const;
    await expect(readVf(netlink, { name: 'p1', device }, 290)).rejects.toThrow('cannot read VF 290 of "p1"');
  });

  it('of a PF that is gone is an error of its own', async () => {
    const { netlink } = withAnswers([refusal(19)]);
    await expect(readVf(netlink, { name: 'p1' }, 0)).rejects.toThrow('cannot read VF 0 of "p1": no such interface');
  });
});

const pf = { index: 7, name: 'p1' };
const CHANGES = {
  mac: mac('02:00:00:00:00:11'),
  vlan: { id: 100, qos: 3, protocol: '802.1q' },
  rate: { min: 1, max: 2 },
  spoofCheck: false,
  trust: true,
  linkState: 'enable',
} as const;

describe('setVf', () => {
  it('sets everything with one request', async () => {
    const { transport, netlink } = withAnswers([]);
    await setVf(netlink, pf, 3, CHANGES);
    expect(transport.sent).toHaveLength(1);
    const body = (transport.sent[0] ?? Buffer.alloc(0)).subarray(16);
    expect(decodeLink(body).index).toBe(7);
    expect(decodeVfs(body).entries).toMatchObject([
      {
        vlanList: { info: { vf: 3, vlan: 100, qos: 3, protocol: 0x8100 } },
        rate: { vf: 3, min: 1, max: 2 },
        spoofCheck: { vf: 3, setting: 0 },
        trust: { vf: 3, setting: 1 },
        linkState: { vf: 3, state: 1 },
      },
    ]);
  });

  it('names the attribute that the driver refused', async () => {
    const { transport, netlink } = withAnswers([refusal(EOPNOTSUPP)], [], [], [], [], [refusal(EOPNOTSUPP)]);
    const failed = await setVf(netlink, pf, 3, CHANGES).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(VfRefused);
    expect(failed).toMatchObject({
      attribute: 'trust',
      code: 'EOPNOTSUPP',
      message: 'cannot set trust on for VF 3 of "p1": EOPNOTSUPP (operation not supported)',
    });
    expect(transport.sent).toHaveLength(6);
  });

  it('asks for nothing when nothing is wanted', async () => {
    const { transport, netlink } = withAnswers();
    await setVf(netlink, pf, 3, {});
    expect(transport.sent).toHaveLength(0);
  });
});

describe('differing', async () => {
  const { netlink } = withAnswers([pfAnswer(1, [entry(0, { trust: { vf: 0, setting: UNSUPPORTED } })])]);
  const vf = vfOf((await findPf(netlink, { name: 'p1' })) ?? expect.fail('no PF'), 0);

  it('leaves out what is so already', () => {
    expect(pendingChanges(vf, { mac: mac('02:00:00:00:00:00'), rate: { min: 0, max: 0 }, linkState: 'auto' })).toEqual(
      {},
    );
    expect(pendingChanges(vf, { vlan: { id: 0, qos: 0, protocol: '802.1ad' } })).toEqual({});
  });

  it('leaves out what the driver does not know', () => {
    expect(pendingChanges(vf, { trust: true })).toEqual({});
  });

  it('keeps the others', () => {
    const changes = { mac: NO_MAC, vlan: { id: 1, qos: 0, protocol: '802.1q' } } as const;
    expect(pendingChanges({ ...vf, mac: mac('02:00:00:00:00:01') }, changes)).toEqual(changes);
  });
});

describe('describeVf', () => {
  it('speaks the words of the configuration', () => {
    expect(describeVf(CHANGES)).toBe(
      'vlan 100, qos 3, 802.1q, mac 02:00:00:00:00:11, rates 1 to 2, spoofchk off, trust on, link_state enable',
    );
  });
});
