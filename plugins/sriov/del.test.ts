import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CniError } from '../../lib/cni/errors.ts';
import { ALL, attached, Bench, MAC, messageIn, OK, rename } from './testing/bench.ts';
import { link, OWN_MAC, PF, VF } from './testing/fake-nic.ts';

const EBUSY = 16;
const EADDRNOTAVAIL = 99;

describe('DEL', () => {
  it('restores everything, and is idempotent', { tags: 'sriov/del-order' }, async () => {
    const { bench, before } = await attached();
    using _ = bench;
    for (const _time of [1, 2]) {
      expect(await bench.run('DEL', ALL)).toEqual({ ...OK, stdout: '' });
      expect([bench.nic.picture(), bench.files(), bench.leases.size]).toEqual([before, {}, 0]);
    }
  });

  it.each<[string, (bench: Bench) => void, Readonly<Record<string, string>>]>([
    ['the namespace has ended', ({ nic }) => nic.endPod(), {}],
    ['CNI_NETNS is not given', ({ nic }) => nic.endPod(), { CNI_NETNS: '' }],
    ['CNI_NETNS is not given, and the namespace is still there', () => undefined, { CNI_NETNS: '' }],
    ['there is no allocation any more', (bench) => rmSync(join(bench.stateDir, 'pci', VF)), {}],
    ['the pod has renamed the interface', ({ nic }) => void Object.assign(nic.interface ?? {}, { name: 'mine' }), {}],
    [
      'the pod has changed the interface',
      ({ nic }) => void Object.assign(nic.interface ?? {}, { mtu: 9000, mac: '02:00:00:00:00:77', flags: 1 }),
      {},
    ],
    ['the PF has been renamed', ({ nic }) => rename(nic, PF, 'renamed'), {}],
    [
      'the interface has got the name on the node as an alternative',
      ({ nic }) => void nic.interface?.altNames.push('p1v1'),
      {},
    ],
  ])('restores everything when %s', async (_, happens, env) => {
    const { bench, before } = await attached();
    using _bench = bench;
    happens(bench);
    expect(await bench.run('DEL', {}, env)).toEqual({ ...OK, stdout: '' });
    rename(bench.nic, PF, 'p1');
    const lo = { pod: bench.nic.pod.links.length };
    expect([bench.nic.home.links, bench.nic.vfs]).toEqual([(before as unknown[])[0], (before as unknown[])[2]]);
    expect([bench.files(), bench.leases.size]).toEqual([{}, 0]);
    expect(lo.pod).toBe(bench.nic.pod.alive ? 1 : 0);
  });

  it('leaves an interface alone that only has the name', { tags: 'sriov/del-identity' }, async () => {
    const { bench } = await attached();
    using _ = bench;
    bench.nic.endPod();
    bench.nic.pod.alive = true;
    const foreign = link({ index: 77, name: 'net1', flags: 1, mac: '02:00:00:00:00:55' });
    bench.nic.pod.links.push(foreign);
    expect(await bench.run('DEL')).toMatchObject(OK);
    expect(bench.nic.pod.links).toEqual([link({ index: 77, name: 'net1', flags: 1, mac: '02:00:00:00:00:55' })]);
    expect(bench.nic.interface?.name).toBe('p1v1');
  });

  it('moves the interface back under another name when its own is taken', async () => {
    const { bench } = await attached();
    using _ = bench;
    bench.nic.home.links.push(link({ index: 88, name: 'p1v1' }));
    expect(await bench.run('DEL')).toMatchObject(OK);
    expect(bench.nic.interface).toMatchObject({ name: 'dev5', mac: OWN_MAC, mtu: 1500 });
    expect(bench.lines.join()).toContain('comes back as "dev5"');
    expect(bench.files()).toEqual({});
  });

  it.each<[string, (bench: Bench) => void]>([
    ['VF', ({ nic }) => rmSync(join(nic.sysfs, 'bus/pci/devices', VF))],
    [
      'PF',
      ({ nic }) => {
        nic.home.links.shift();
        nic.entry(`devices/pci0000:00/${PF}/net`);
      },
    ],
    [
      'driver',
      ({ nic }) => {
        nic.pod.links.pop();
        nic.unbind();
      },
    ],
  ])('succeeds when the %s is gone', async (_, happens) => {
    const { bench } = await attached();
    using _bench = bench;
    happens(bench);
    expect(await bench.run('DEL')).toEqual({ ...OK, stdout: '' });
    expect([bench.files(), bench.leases.size]).toEqual([{}, 0]);
    expect(bench.lines.length).toBeGreaterThan(0);
  });

  it('keeps the record when the reset fails, tries everything, and completes on a retry', {
    tags: 'sriov/del-keeps',
  }, async () => {
    const { bench, before } = await attached();
    using _ = bench;
    bench.nic.onStep = (step) => (step === 'SETLINK vf' ? EBUSY : undefined);
    const { exitCode, stdout } = await bench.run('DEL');
    expect([exitCode, messageIn(stdout)]).toEqual([1, expect.stringContaining('vlan 0 for VF 1 of "p1"')]);
    expect(messageIn(stdout)).toContain('trust off');
    expect([bench.nic.interface?.name, bench.leases.size]).toEqual(['p1v1', 1]);
    expect(messageIn(stdout)).toContain('its addresses stay reserved');
    expect(Object.keys(bench.files())).toEqual(['c1-net1', `pci/${VF}`]);
    bench.nic.onStep = () => undefined;
    expect(await bench.run('DEL')).toMatchObject(OK);
    expect([bench.nic.picture(), bench.files()]).toEqual([before, {}]);
  });

  it('resets the VF when IPAM fails, and asks it again', async () => {
    const { bench, before } = await attached();
    using _ = bench;
    bench.ipamFails = () => {
      throw new CniError('tryAgainLater', 'busy');
    };
    expect(JSON.parse((await bench.run('DEL')).stdout)).toMatchObject({ code: 11, msg: 'busy' });
    expect(bench.nic.picture()).toEqual(before);
    bench.ipamFails = () => undefined;
    expect(await bench.run('DEL', { ipam: {} })).toMatchObject(OK); // the record names it
    expect([bench.files(), bench.leases.size]).toEqual([{}, 0]);
  });

  it('calls IPAM also without a record', { tags: 'sriov/del-ipam' }, async () => {
    using bench = new Bench();
    expect(await bench.run('DEL')).toEqual({ ...OK, stdout: '' });
    expect([bench.ipamCalls, bench.nic.steps]).toEqual([['DEL'], []]);
  });

  it('asks to try again later when the interface is nowhere', async () => {
    const { bench } = await attached();
    using _ = bench;
    bench.nic.pod.alive = false;
    const { stdout } = await bench.run('DEL');
    expect(JSON.parse(stdout)).toMatchObject({
      code: 11,
      msg: expect.stringContaining('neither on the host nor in the pod'),
    });
    expect(bench.nic.vfs[1]).toMatchObject({ vlan: 0, trust: 0 });
    expect(Object.keys(bench.files())).toHaveLength(2);
  });

  it('accepts that a driver insists on an administrative address', async () => {
    const { bench } = await attached({ mac: MAC });
    using _ = bench;
    bench.nic.onStep = (step) => (step === 'SETLINK vf' ? 22 : undefined);
    expect(await bench.run('DEL')).toMatchObject(OK);
    expect(bench.lines.join()).toContain('cannot fully restore VF 1 of "p1": cannot set mac 00:00:00:00:00:00');
  });

  it.each([
    ['EINVAL', 22],
    ['EOPNOTSUPP', 95],
    ['EADDRNOTAVAIL', 99],
    ['EPERM', 1],
  ])(
    'logs every attribute that the PF refuses to restore (%s), and frees the VF',
    { tags: 'sriov/refused-reset' },
    async (_, errno) => {
      const { bench } = await attached();
      using _bench = bench;
      bench.nic.onStep = (step) => (step === 'SETLINK vf' ? errno : undefined);
      expect(await bench.run('DEL', ALL)).toEqual({ ...OK, stdout: '' });
      for (const what of [
        'vlan 0',
        'mac 00:00:00:00:00:00',
        'rates 0 to 0',
        'spoofchk on',
        'trust off',
        'link_state auto',
      ]) {
        expect(bench.lines.join('\n')).toContain(`cannot fully restore VF 1 of "p1": cannot set ${what} for VF 1`);
      }
      expect([bench.nic.interface?.name, bench.files(), bench.leases.size]).toEqual(['p1v1', {}, 0]);
      expect(await bench.run('ADD')).toMatchObject({ exitCode: 0 });
    },
  );

  it.each([
    ['SETLINK mac', 'hardware address'],
    ['SETLINK mtu', 'MTU'],
  ])('logs what the interface refuses to restore (%s), and moves it back', async (refused, says) => {
    const { bench } = await attached();
    using _bench = bench;
    bench.nic.onStep = (step) => (step === refused ? EBUSY : undefined);
    expect(await bench.run('DEL', ALL)).toEqual({ ...OK, stdout: '' });
    expect(bench.lines.join('\n')).toContain(`cannot fully restore link "p1v1": cannot set the ${says}`);
    expect([bench.nic.interface?.name, bench.files()]).toEqual(['p1v1', {}]);
  });

  it('frees a VF whose administrative address was set after its driver was bound', async () => {
    using bench = new Bench();
    const [own, vf] = [bench.nic.interface, bench.nic.vfs[1]];
    Object.assign(vf ?? {}, { mac: '02:00:00:00:00:98' });
    bench.nic.onStep = (step) => {
      if (step === 'NEWLINK flags' && own !== undefined && vf !== undefined) {
        own.mac = vf.mac; // going up it asks its PF (igbvf)
      }
      return step === 'SETLINK mac' ? EADDRNOTAVAIL : undefined;
    };
    for (const mac of [MAC, '']) {
      expect(await bench.run('ADD', { mac })).toMatchObject({ exitCode: 0 });
      expect(await bench.run('DEL', { mac })).toEqual({ ...OK, stdout: '' });
      expect([bench.files(), bench.leases.size, vf?.mac]).toEqual([{}, 0, '02:00:00:00:00:98']);
    }
    expect(own).toMatchObject({ name: 'p1v1', mac: '02:00:00:00:00:98' });
    expect(bench.lines.join('\n')).toContain('cannot fully restore link "p1v1"');
  });

  it('leaves alone a VF that another pod has now', async () => {
    const { bench } = await attached();
    using _ = bench;
    const record = bench.files()['c1-net1'] ?? '';
    await bench.run('DEL');
    Object.assign(bench.nic.pod, { path: '/run/netns/next' });
    await bench.run('ADD', { vlan: 7 }, { CNI_CONTAINERID: 'c2' });
    bench.put('c1-net1', record);
    const before = bench.nic.picture();
    expect(await bench.run('DEL', {}, { CNI_NETNS: '/run/netns/gone' })).toMatchObject(OK);
    expect(bench.nic.picture()).toEqual(before);
    expect(Object.keys(bench.files())).toEqual(['c2-net1', `pci/${VF}`]);
    bench.put('c1-net1', record);
    expect(await bench.run('DEL', {}, { CNI_NETNS: '' })).toMatchObject(OK);
    bench.put('c1-net1', record.replace(/"braid":.*\},"cniVersion"/, '"cniVersion"')); // as the Go plugin writes it
    expect(await bench.run('DEL', {}, { CNI_NETNS: '' })).toMatchObject(OK);
    expect(bench.nic.picture()).toEqual(before);
    expect(await bench.run('DEL', {}, { CNI_CONTAINERID: 'c2' })).toMatchObject(OK);
    expect([bench.nic.interface?.name, bench.files()]).toEqual(['p1v1', {}]);
  });

  it.each([
    ['cut', (text: string) => text.slice(0, 40)],
    ['gone', () => undefined],
  ])('finds the VF by its allocation when the record is %s, and resets it', async (_, spoil) => {
    const { bench } = await attached();
    using _bench = bench;
    const spoilt = spoil(bench.files()['c1-net1'] ?? '');
    rmSync(join(bench.stateDir, 'c1-net1'));
    if (spoilt !== undefined) {
      bench.put('c1-net1', spoilt);
    }
    expect(await bench.run('DEL', { deviceID: '' })).toMatchObject(OK);
    expect(bench.nic.interface).toMatchObject({ name: 'dev5', mac: OWN_MAC, flags: 0 });
    expect(bench.nic.home.links).toHaveLength(2);
    expect(bench.nic.vfs[1]).toMatchObject({ vlan: 0, trust: 0, spoofCheck: 1, max: 0, mac: '00:00:00:00:00:00' });
    expect(bench.files()).toEqual({});
  });

  it('without a record leaves other VFs of the same pod alone', async () => {
    const { bench } = await attached();
    using _ = bench;
    const before = bench.nic.picture();
    expect(await bench.run('DEL', {}, { CNI_IFNAME: 'net2' })).toMatchObject(OK);
    expect(bench.nic.picture()).toEqual(before);
    expect(Object.keys(bench.files())).toHaveLength(2);
  });
});
