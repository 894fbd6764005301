import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';
import { CniError } from '../../lib/cni/errors.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import { NO_MAC } from '../../lib/link/vf.ts';
import { ALL, Bench, MAC, messageIn, OK } from './testing/bench.ts';
import { link, OWN_MAC, PF, VF } from './testing/fake-nic.ts';

const { EADDRNOTAVAIL } = constants.errno;

describe('ADD', () => {
  it('moves the VF into the pod with everything that was requested', async () => {
    using bench = new Bench();
    const { stdout, ...outcome } = await bench.run('ADD', ALL);
    expect(outcome).toEqual(OK);
    expect(JSON.parse(stdout)).toEqual({
      cniVersion: '1.1.0',
      interfaces: [{ name: 'net1', mac: MAC, mtu: 1400, sandbox: '/run/netns/pod' }],
      ips: [{ address: '192.0.2.5/24', interface: 0 }],
      dns: { domain: 'ipam' },
    });
    expect(bench.nic.pod.links.find(({ name }) => name === 'net1')).toMatchObject({
      mac: MAC,
      mtu: 1400,
      flags: 1,
      parentDev: VF,
    });
    expect(bench.nic.vfs[1]).toEqual({
      mac: MAC,
      vlan: 100,
      qos: 3,
      protocol: 0x88a8,
      spoofCheck: 0,
      trust: 1,
      min: 10,
      max: 100,
      linkState: 1,
    });
    expect(bench.nic.vfs[0]).toMatchObject({ mac: '00:00:00:00:00:00', vlan: 0 });
    expect(bench.files()).toEqual({
      [`pci/${VF}`]: '/run/netns/pod',
      'c1-net1': expect.stringContaining('"phase":"attached"'),
    });
    expect(bench.nic.pod.frames).toHaveLength(1);
  });

  it('requests nothing from the PF that was not configured', async () => {
    using bench = new Bench();
    expect(await bench.run('ADD')).toMatchObject(OK);
    expect(bench.nic.steps.filter((step) => step === 'SETLINK vf')).toEqual([]);
    expect(bench.nic.interface).toMatchObject({ mac: OWN_MAC, mtu: 1500, altNames: [] });
  });

  it.each([246, 255, 300])('refuses a container ID of %i characters, and DEL has nothing to do', async (length) => {
    using bench = new Bench();
    const before = [bench.nic.picture(), bench.files()];
    const env = { CNI_CONTAINERID: 'c'.repeat(length) };
    const { stdout } = await bench.run('ADD', ALL, env);
    expect(JSON.parse(stdout)).toMatchObject({ code: 4, msg: expect.stringContaining('CNI_CONTAINERID') });
    expect([bench.nic.picture(), bench.files(), bench.leases.size]).toEqual([...before, 0]);
    expect(await bench.run('DEL', ALL, env)).toMatchObject(OK);
    expect([bench.nic.picture(), bench.files()]).toEqual(before);
  });

  it('records the VF before it is touched', { tags: 'sriov/first-picture' }, async () => {
    using bench = new Bench();
    const seen: unknown[] = [];
    bench.nic.onStep = () => void seen.push(bench.files());
    await bench.run('ADD', ALL);
    expect(seen[0]).toEqual({
      [`pci/${VF}`]: '/run/netns/pod',
      'c1-net1': expect.stringMatching(/"AdminMAC":"00:00:00:00:00:00".*"phase":"changing"/),
    });
  });

  it('sets up a VF with a userspace driver', async () => {
    using bench = new Bench();
    bench.nic.bindToVfio();
    const { stdout, ...outcome } = await bench.run('ADD', { ...ALL, mtu: 0 });
    expect(outcome).toEqual(OK);
    expect(JSON.parse(stdout)).toMatchObject({
      interfaces: [{ name: 'net1', mac: MAC, mtu: 1500, sandbox: '/run/netns/pod' }],
      ips: [{ address: '192.0.2.5/24', interface: 0 }],
    });
    expect(bench.nic.vfs[1]).toMatchObject({ vlan: 100, mac: MAC });
    expect(await bench.run('CHECK', { ...ALL, mtu: 0, prevResult: JSON.parse(stdout) })).toMatchObject(OK);
    expect(await bench.run('DEL', ALL)).toMatchObject(OK);
    expect(bench.files()).toEqual({});
    expect(bench.nic.vfs[1]).toMatchObject({ vlan: 0, mac: '00:00:00:00:00:00' });
  });

  it.each([
    ['the administrative address', '02:00:00:00:00:99', '02:00:00:00:00:99'],
    ['none', '00:00:00:00:00:00', undefined],
  ])('returns for a userspace driver %s when none is configured', async (_, mac, answered) => {
    using bench = new Bench();
    bench.nic.bindToVfio();
    Object.assign(bench.nic.vfs[1] ?? {}, { mac });
    const { stdout } = await bench.run('ADD');
    expect((JSON.parse(stdout) as { interfaces: [{ mac?: string }] }).interfaces[0].mac).toBe(answered);
  });

  it('resets foreign settings for good with preclean', async () => {
    using bench = new Bench();
    const left = { vlan: 7, trust: 1, spoofCheck: 0, max: 5, mac: '02:00:00:00:00:98' };
    Object.assign(bench.nic.vfs[1] ?? {}, left);
    expect(await bench.run('ADD', { trust: 'on', preclean: true })).toMatchObject(OK);
    expect(bench.nic.vfs[1]).toMatchObject({ vlan: 0, trust: 1, spoofCheck: 1, max: 0, mac: left.mac });
    await bench.run('DEL');
    expect(bench.nic.vfs[1]).toMatchObject({ vlan: 0, trust: 0, spoofCheck: 1, max: 0, mac: left.mac });
  });

  it.each([
    ['the name in the pod', ['net1']],
    ['a name of another link in the pod', ['other']],
  ])('leaves the alternative names on the node, one that is %s among them, and DEL restores them', async (_, names) => {
    using bench = new Bench();
    Object.assign(bench.nic.interface ?? {}, { altNames: [...names, 'enp1s0f0v1'] });
    bench.nic.pod.links.push(link({ index: 9, name: 'other' }));
    const before = bench.nic.picture();
    expect(await bench.run('ADD')).toMatchObject(OK);
    expect(bench.nic.interface?.altNames).toEqual([]);
    expect(await bench.run('DEL')).toMatchObject(OK);
    Object.assign(bench.nic.interface ?? {}, {
      altNames: [...(bench.nic.interface?.altNames ?? [])].sort().reverse(),
    });
    const sorted = before as [{ altNames?: string[] }[]];
    for (const one of sorted[0]) {
      one.altNames?.sort().reverse();
    }
    expect(bench.nic.picture()).toEqual(before);
  });

  it('waits for a hardware address that the driver sets later', async () => {
    using bench = new Bench();
    let refusals = 3;
    bench.nic.onStep = (step) => (step === 'SETLINK mac' && refusals-- > 0 ? 11 : undefined);
    expect(await bench.run('ADD', { mac: MAC })).toMatchObject(OK);
    expect(bench.nic.interface?.mac).toBe(MAC);
  });

  it('sets the hardware address through the PF with a driver that needs that, and restores it so', async () => {
    using bench = new Bench();
    const before = bench.nic.picture();
    bench.nic.onStep = (step) => {
      const [own, vf] = [bench.nic.interface, bench.nic.vfs[1]];
      if (step === 'NEWLINK flags' && own !== undefined && vf !== undefined) {
        own.mac = vf.mac === NO_MAC ? OWN_MAC : vf.mac;
      }
      return step === 'SETLINK mac' ? EADDRNOTAVAIL : undefined;
    };
    expect(await bench.run('ADD', { mac: MAC })).toMatchObject(OK);
    expect(bench.nic.interface).toMatchObject({ name: 'net1', mac: MAC });
    expect(await bench.run('DEL', { mac: MAC })).toMatchObject(OK);
    expect(bench.nic.picture()).toEqual(before);
  });

  it("reports the driver's error when it refuses the hardware address", async () => {
    using bench = new Bench();
    const before = bench.nic.picture();
    bench.nic.onStep = (step) => (step === 'SETLINK mac' ? EADDRNOTAVAIL : undefined);
    const { stdout } = await bench.run('ADD', { mac: MAC });
    expect(messageIn(stdout)).toContain(`cannot set the hardware address ${MAC} of link "net1": EADDRNOTAVAIL`);
    expect(bench.nic.picture()).toEqual(before);
  });

  it('tries again when the PF is busy', async () => {
    using bench = new Bench();
    let refusals = 5;
    bench.nic.onStep = (step) => (step === 'SETLINK vf' && refusals-- > 0 ? 16 : undefined);
    expect(await bench.run('ADD', ALL)).toMatchObject(OK);
    expect(bench.nic.vfs[1]).toMatchObject({ vlan: 100, trust: 1 });
  });
});

describe('ADD refuses', () => {
  it.each<[string, (bench: Bench) => unknown, number, string]>([
    ['a missing deviceID', () => ({ deviceID: '' }), 7, 'the SR-IOV device plugin passes it through multus'],
    ['a path for a deviceID', () => ({ deviceID: '../../etc' }), 7, 'it is not a PCI address'],
    ['a device that is not there', () => ({ deviceID: '0000:02:00.0' }), 999, 'no such PCI device'],
    [
      'a PF',
      () => ({ deviceID: PF }),
      999,
      'it is not a VF; in a virtual machine, or for a whole NIC, use host-device',
    ],
    [
      'a VF of an InfiniBand NIC',
      ({ nic }) => nic.entry(`devices/pci0000:00/${PF}/net/p1/type = 32`),
      999,
      'its PF "p1" is InfiniBand: use the plugin ib-sriov',
    ],
    [
      'a VF that another namespace has',
      ({ nic }) => {
        nic.home.links.pop();
        nic.entry(`devices/pci0000:00/${VF}/net`);
      },
      999,
      'driver "igbvf" is bound to it, but it has no interface on this node',
    ],
    ['a VF without driver', ({ nic }) => nic.unbind(), 999, 'no driver is bound to it; has a workload unbound it?'],
    [
      'a PF in another namespace',
      ({ nic }) => nic.entry(`devices/pci0000:00/${PF}/net`),
      999,
      `its PF "${PF}" (igb) has no interface on this node`,
    ],
    [
      'a VF that a pod has',
      (bench) => bench.put(`pci/${VF}`, '/run/netns/pod'),
      11,
      'it is already allocated to the pod with network namespace "/run/netns/pod"',
    ],
    [
      'a name that the pod has',
      ({ nic }) => void nic.pod.links.push(link({ index: 9, name: 'net1' })),
      999,
      'cannot add interface "net1": it already exists in "/run/netns/pod"',
    ],
    [
      'an MTU with a userspace driver',
      ({ nic }) => {
        nic.bindToVfio();
        return { mtu: 1400 };
      },
      7,
      'userspace driver "vfio-pci" is bound to the VF',
    ],
  ])('%s, and touches nothing', async (_, prepare, code, message) => {
    using bench = new Bench();
    const conf = (prepare(bench) ?? {}) as JsonObject;
    const [before, files] = [bench.nic.picture(), bench.files()];
    const { stdout, exitCode } = await bench.run('ADD', { ...ALL, mtu: 0, ...conf });
    expect([exitCode, JSON.parse(stdout)]).toMatchObject([1, { code, msg: expect.stringContaining(message) }]);
    expect(bench.nic.steps).toEqual([]);
    expect(bench.nic.picture()).toEqual(before);
    expect(bench.files()).toEqual(files);
    expect(bench.ipamCalls).toEqual([]);
  });

  it('a result that its version cannot print, before anything is done', async () => {
    using bench = new Bench();
    const { exitCode } = await bench.run('ADD', { cniVersion: '0.2.0', ipam: {} });
    expect([exitCode, bench.nic.steps]).toEqual([1, []]);
  });

  it('dhcp with a userspace driver', async () => {
    using bench = new Bench();
    bench.nic.bindToVfio();
    const { stdout } = await bench.run('ADD', { ipam: { type: 'dhcp' } });
    expect(messageIn(stdout)).toContain('cannot use IPAM plugin "dhcp"');
    expect(bench.files()).toEqual({});
  });

  it('what the driver does not support, naming the key', async () => {
    using bench = new Bench();
    const before = bench.nic.picture();
    let asked = 0;
    bench.nic.onStep = (step) => (step === 'SETLINK vf' && [1, 7].includes(++asked) ? 95 : undefined);
    const { stdout } = await bench.run('ADD', ALL);
    expect(JSON.parse(stdout)).toMatchObject({
      code: 7,
      msg: expect.stringContaining('driver "igb" does not support "link_state": remove it'),
    });
    expect(bench.nic.picture()).toEqual(before);
  });

  it("with the IPAM plugin's own code", async () => {
    using bench = new Bench();
    bench.ipamFails = (verb) => {
      if (verb === 'ADD') {
        throw new CniError('tryAgainLater', 'no addresses');
      }
    };
    const before = bench.nic.picture();
    const { stdout } = await bench.run('ADD', ALL);
    expect(JSON.parse(stdout)).toMatchObject({ code: 11, msg: 'no addresses' });
    expect([bench.nic.picture(), bench.files(), bench.leases.size]).toEqual([before, {}, 0]);
  });
});
