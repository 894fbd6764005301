import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CniError } from '../../lib/cni/errors.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import { Bench } from './testing/bench.ts';
import { link, OWN_MAC, PF, VF } from './testing/fake-nic.ts';

const OK = { exitCode: 0, stderr: '' };
const MAC = '02:aa:00:00:00:07';
const ALL: JsonObject = {
  mac: MAC,
  vlan: 100,
  vlanQoS: 3,
  vlanProto: '802.1ad',
  spoofchk: 'off',
  trust: 'on',
  min_tx_rate: 10,
  max_tx_rate: 100,
  link_state: 'enable',
  mtu: 1400,
};
const messageIn = (stdout: string): string => (JSON.parse(stdout) as { readonly msg: string }).msg;

describe('ADD', () => {
  it('moves the VF into the pod with everything that was asked for', async () => {
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

  it('asks the PF for nothing that was not asked for', async () => {
    using bench = new Bench();
    expect(await bench.run('ADD')).toMatchObject(OK);
    expect(bench.nic.steps.filter((step) => step === 'SETLINK vf')).toEqual([]);
    expect(bench.nic.interface).toMatchObject({ mac: OWN_MAC, mtu: 1500, altNames: ['enp1s0f0v1'] });
  });

  it('remembers the VF before it is touched', async () => {
    using bench = new Bench();
    const seen: unknown[] = [];
    bench.nic.onStep = () => void seen.push(bench.files());
    await bench.run('ADD', ALL);
    expect(seen[0]).toEqual({
      [`pci/${VF}`]: '/run/netns/pod',
      'c1-net1': expect.stringMatching(/"AdminMAC":"00:00:00:00:00:00".*"phase":"changing"/),
    });
  });

  it('hands a VF with its addresses to a program', async () => {
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
  ])('answers for a program %s when none was asked for', async (_, mac, answered) => {
    using bench = new Bench();
    bench.nic.bindToVfio();
    Object.assign(bench.nic.vfs[1] ?? {}, { mac });
    const { stdout } = await bench.run('ADD');
    expect((JSON.parse(stdout) as { interfaces: [{ mac?: string }] }).interfaces[0].mac).toBe(answered);
  });

  it('takes away what somebody left at the VF, when it is told to, for good', async () => {
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
  ])('drops an alternative name that is %s, and DEL brings it back', async (_, names) => {
    using bench = new Bench();
    Object.assign(bench.nic.interface ?? {}, { altNames: [...names, 'enp1s0f0v1'] });
    bench.nic.pod.links.push(link({ index: 9, name: 'other' }));
    const before = bench.nic.picture();
    expect(await bench.run('ADD')).toMatchObject(OK);
    expect(bench.nic.interface?.altNames).toEqual(['enp1s0f0v1']);
    expect(await bench.run('DEL')).toMatchObject(OK);
    Object.assign(bench.nic.interface ?? {}, { altNames: [...(bench.nic.interface?.altNames ?? [])].sort().reverse() });
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
      'it is not a VF; within a virtual machine, or for a whole NIC, "host-device"',
    ],
    [
      'a VF of an InfiniBand card',
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
      'an MTU for a program',
      ({ nic }) => {
        nic.bindToVfio();
        return { mtu: 1400 };
      },
      7,
      'driver "vfio-pci" hands the VF to',
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

  it('dhcp for a program', async () => {
    using bench = new Bench();
    bench.nic.bindToVfio();
    const { stdout } = await bench.run('ADD', { ipam: { type: 'dhcp' } });
    expect(messageIn(stdout)).toContain('cannot use IPAM plugin "dhcp"');
    expect(bench.files()).toEqual({});
  });

  it('what the driver does not know, naming the key', async () => {
    using bench = new Bench();
    const before = bench.nic.picture();
    let asked = 0;
    bench.nic.onStep = (step) => (step === 'SETLINK vf' && [1, 7].includes(++asked) ? 95 : undefined);
    const { stdout } = await bench.run('ADD', ALL);
    expect(JSON.parse(stdout)).toMatchObject({
      code: 7,
      msg: expect.stringContaining('driver "igb" does not know "link_state" of this kind: take it out'),
    });
    expect(bench.nic.picture()).toEqual(before);
  });

  it('nothing of an IPAM plugin that has a code of its own', async () => {
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

/** How many changes an ADD asks of the kernel. */
async function stepsOfAdd(): Promise<readonly string[]> {
  using bench = new Bench();
  await bench.run('ADD', ALL);
  return bench.nic.steps;
}

describe('a step of ADD that fails', async () => {
  const steps = (await stepsOfAdd()).map((step, nth) => [nth, step] as const);

  it('is one of many', () => {
    expect(steps.length).toBeGreaterThan(8);
  });

  it.each(steps.filter(([, step]) => step !== 'sysctl'))('leaves nothing: %i, %s', async (nth) => {
    using bench = new Bench();
    bench.nic.home.links.find(({ parentDev }) => parentDev === VF)?.altNames.push('extra');
    const before = bench.nic.picture();
    // a change of a VF is asked for again, part by part
    const limit = steps[nth]?.[1] === 'SETLINK vf' ? 2 : 1;
    bench.nic.onStep = () => (bench.nic.steps.length > nth && bench.nic.steps.length <= nth + limit ? 22 : undefined);
    const { exitCode } = await bench.run('ADD', ALL);
    bench.nic.onStep = () => undefined;
    expect(exitCode).toBe(1);
    expect(bench.nic.picture()).toEqual(before);
    expect([bench.files(), bench.leases.size]).toEqual([{}, 0]);
  });
});

/** A bench with an attachment. */
async function attached(conf: JsonObject = ALL): Promise<{ bench: Bench; before: unknown; prevResult: JsonObject }> {
  const bench = new Bench();
  const before = bench.nic.picture();
  const { stdout } = await bench.run('ADD', conf);
  return { bench, before, prevResult: JSON.parse(stdout) as JsonObject };
}

describe('DEL', () => {
  it('makes everything what it was, and can be called again', async () => {
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
  ])('makes everything what it was when %s', async (_, happens, env) => {
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

  it('leaves an interface alone that only has the name', async () => {
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

  it('brings the interface home under another name when somebody has its own', async () => {
    const { bench } = await attached();
    using _ = bench;
    bench.nic.home.links.push(link({ index: 88, name: 'p1v1' }));
    expect(await bench.run('DEL')).toMatchObject(OK);
    expect(bench.nic.interface).toMatchObject({ name: 'dev5', mac: OWN_MAC, mtu: 1500 });
    expect(bench.lines.join()).toContain('comes home as "dev5"');
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

  it('keeps the record when the reset fails, tries everything, and completes when called again', async () => {
    const { bench, before } = await attached();
    using _ = bench;
    bench.nic.onStep = (step) => (step === 'SETLINK vf' ? 22 : undefined);
    const { exitCode, stdout } = await bench.run('DEL');
    expect([exitCode, messageIn(stdout)]).toEqual([1, expect.stringContaining('vlan 0 for VF 1 of "p1"')]);
    expect(messageIn(stdout)).toContain('trust off');
    expect([bench.nic.interface?.name, bench.leases.size]).toEqual(['p1v1', 0]);
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
    expect(await bench.run('DEL', { ipam: {} })).toMatchObject(OK); // the record knows of it
    expect([bench.files(), bench.leases.size]).toEqual([{}, 0]);
  });

  it('asks IPAM also when it knows of no attachment', async () => {
    using bench = new Bench();
    expect(await bench.run('DEL')).toEqual({ ...OK, stdout: '' });
    expect([bench.ipamCalls, bench.nic.steps]).toEqual([['DEL'], []]);
  });

  it('says that it shall be called again when the interface is nowhere', async () => {
    const { bench } = await attached();
    using _ = bench;
    bench.nic.pod.alive = false;
    const { stdout } = await bench.run('DEL');
    expect(JSON.parse(stdout)).toMatchObject({ code: 11, msg: expect.stringContaining('neither here nor in the pod') });
    expect(bench.nic.vfs[1]).toMatchObject({ vlan: 0, trust: 0 });
    expect(Object.keys(bench.files())).toHaveLength(2);
  });

  it('accepts that a driver insists on an administrative address', async () => {
    const { bench } = await attached({ mac: MAC });
    using _ = bench;
    bench.nic.onStep = (step) => (step === 'SETLINK vf' ? 22 : undefined);
    expect(await bench.run('DEL')).toMatchObject(OK);
    expect(bench.lines.join()).toContain('keeps its hardware address');
  });

  it('leaves a VF alone that another pod has by now', async () => {
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

  it('of an attachment without record leaves the VFs of others in the same pod alone', async () => {
    const { bench } = await attached();
    using _ = bench;
    const before = bench.nic.picture();
    expect(await bench.run('DEL', {}, { CNI_IFNAME: 'net2' })).toMatchObject(OK);
    expect(bench.nic.picture()).toEqual(before);
    expect(Object.keys(bench.files())).toHaveLength(2);
  });
});

function rename(nic: Bench['nic'], parentDev: string, name: string): void {
  Object.assign(nic.home.links.find((one) => one.parentDev === parentDev) ?? {}, { name });
  nic.entry(`devices/pci0000:00/${parentDev}/net`);
  nic.entry(`devices/pci0000:00/${parentDev}/net/${name}`);
}

describe('ADD after a disaster', () => {
  it('refuses to do the same again', async () => {
    const { bench } = await attached();
    using _ = bench;
    const before = bench.nic.picture();
    const { stdout } = await bench.run('ADD', ALL);
    expect(JSON.parse(stdout)).toMatchObject({
      code: 11,
      msg: expect.stringContaining('the container has it already'),
    });
    expect(bench.nic.picture()).toEqual(before);
  });

  it('undoes an ADD of its own that was killed', async () => {
    const { bench, before } = await attached();
    using _ = bench;
    bench.put('c1-net1', (bench.files()['c1-net1'] ?? '').replace('"attached"', '"changing"'));
    expect(await bench.run('ADD', { vlan: 7 })).toMatchObject(OK);
    expect(bench.nic.vfs[1]).toMatchObject({ vlan: 7, trust: 0 });
    await bench.run('DEL');
    expect(bench.nic.picture()).toEqual(before);
  });

  it('puts a VF right whose pod has died without DEL', async () => {
    const { bench, before } = await attached();
    using _ = bench;
    bench.nic.endPod();
    Object.assign(bench.nic.pod, { path: '/run/netns/next', alive: true, links: [link({ index: 1, name: 'lo' })] });
    expect(await bench.run('ADD', {}, { CNI_CONTAINERID: 'c2' })).toMatchObject(OK);
    expect(bench.nic.vfs).toEqual((before as unknown[])[2]);
    expect(bench.nic.interface).toMatchObject({ name: 'net1', mac: OWN_MAC, mtu: 1500 });
    expect(Object.keys(bench.files())).toEqual(['c2-net1', `pci/${VF}`]);
    expect(await bench.run('DEL', {}, { CNI_CONTAINERID: 'c2' })).toMatchObject(OK);
    expect([bench.nic.home.links]).toEqual([(before as unknown[])[0]]);
  });
});

describe('CHECK', () => {
  it('finds nothing after ADD', async () => {
    const { bench, prevResult } = await attached({ ...ALL, ipam: {} });
    using _ = bench;
    expect(await bench.run('CHECK', { ...ALL, ipam: {}, prevResult })).toEqual({ ...OK, stdout: '' });
  });

  it.each<[string, (bench: Bench) => void, string]>([
    [
      'a VLAN',
      ({ nic }) => void Object.assign(nic.vfs[1] ?? {}, { vlan: 5 }),
      'does not have vlan 100, qos 3, 802.1ad',
    ],
    ['trust', ({ nic }) => void Object.assign(nic.vfs[1] ?? {}, { trust: 0 }), 'VF 1 of "p1" does not have trust on'],
    ['the MTU', ({ nic }) => void Object.assign(nic.interface ?? {}, { mtu: 1500 }), 'has MTU 1500, not 1400'],
    ['the address', ({ nic }) => void Object.assign(nic.interface ?? {}, { mac: OWN_MAC }), 'has hardware address'],
    ['down', ({ nic }) => void Object.assign(nic.interface ?? {}, { flags: 0 }), 'link "net1" is down'],
    ['a missing link', ({ nic }) => void nic.pod.links.pop(), 'link "net1" is missing in the container'],
    [
      'another device',
      ({ nic }) => {
        nic.pod.links.pop();
        nic.pod.links.push(link({ index: 9, name: 'net1', parentDev: '0000:09:00.0' }));
      },
      'is not the interface of device',
    ],
    ['no record', (bench) => rmSync(join(bench.stateDir, 'c1-net1')), 'there is no record of interface "net1"'],
  ])('finds %s', async (_, happens, message) => {
    const { bench, prevResult } = await attached({ ...ALL, ipam: {} });
    using _bench = bench;
    happens(bench);
    const { stdout } = await bench.run('CHECK', { ...ALL, ipam: {}, prevResult });
    expect(JSON.parse(stdout)).toMatchObject({ code: 999, msg: expect.stringContaining(message) });
  });

  it('asks IPAM, and misses addresses', async () => {
    const { bench, prevResult } = await attached();
    using _ = bench;
    const { stdout } = await bench.run('CHECK', { ...ALL, prevResult });
    expect(messageIn(stdout)).toContain('cannot find address 192.0.2.5/24');
    expect(bench.ipamCalls).toEqual(['ADD', 'CHECK']);
  });
});

describe('GC', () => {
  const valid = (...ids: readonly string[]): JsonObject => ({
    'cni.dev/valid-attachments': ids.map((containerID) => ({ containerID, ifname: 'net1' })),
  });

  it('gives back what the runtime does not know', async () => {
    const { bench, before } = await attached();
    using _ = bench;
    expect(await bench.run('GC', valid('c2'))).toEqual({ ...OK, stdout: '' });
    expect([bench.nic.picture(), bench.files(), bench.ipamCalls.at(-1)]).toEqual([before, {}, 'GC']);
  });

  it.each<[string, JsonObject]>([
    ['what it knows', valid('c1')],
    ['another network', { ...valid(), name: 'red' }],
    ['everything when the runtime has named nothing', {}],
  ])('leaves %s', async (_, conf) => {
    const { bench } = await attached();
    using _bench = bench;
    const before = [bench.nic.picture(), bench.files()];
    expect(await bench.run('GC', conf)).toMatchObject(OK);
    expect([bench.nic.picture(), bench.files()]).toEqual(before);
  });
});

describe('STATUS', () => {
  it('asks IPAM, and for no device', async () => {
    using bench = new Bench();
    expect(await bench.run('STATUS', { deviceID: '' })).toEqual({ ...OK, stdout: '' });
    expect(bench.ipamCalls).toEqual(['STATUS']);
  });

  it('says that there are no PCI devices', async () => {
    using bench = new Bench();
    rmSync(join(bench.nic.sysfs, 'bus'), { recursive: true });
    expect(JSON.parse((await bench.run('STATUS')).stdout)).toMatchObject({ code: 50 });
  });
});

describe('without CNI_COMMAND', () => {
  it('answers with an error, as the Go plugin does', async () => {
    using bench = new Bench();
    expect(await bench.run('ADD', {}, { CNI_COMMAND: '' })).toMatchObject({ exitCode: 1, stderr: '' });
  });
});
