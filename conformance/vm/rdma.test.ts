/** The plugin rdma: devices go to pods and come back. */
import { globSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BASE_ENV, execute } from '../lab/execute.ts';
import type { Pod } from '../lab/lab.ts';
import { isOldest, OURS, ROOT, VERSIONS } from '../lab/programs.ts';
import { CARD } from './cards.ts';
import { linksOf } from './pci.ts';
import { rdmaDevices } from './rdma.ts';
import { fakeSysfs, RdmaNode, rdmaOf, STATES, stateOf, states, writeState } from './rdma-lab.ts';

const RDMA = rdmaOf(0);
const ALL = { devices: [0, 1, 2].map(rdmaOf), states: [] };
const OK = { exitCode: 0, stdout: '', stderr: '' };

let lab: RdmaNode;
let pod: Pod;

beforeAll(async () => {
  lab = await RdmaNode.open(3);
});
afterAll(() => lab[Symbol.asyncDispose]());
beforeEach(async () => {
  pod = await lab.pod();
  return () => lab.node.tryIp(`netns del ${pod.name}`);
});

/** A result of the version, as the plugin before prints it. */
function resultOf(cniVersion: string): Readonly<Record<string, unknown>> {
  const is1 = cniVersion >= '1';
  const ip = { ...(is1 ? {} : { version: '4' }), interface: 0, address: '10.1.0.5/24', gateway: '10.1.0.1' };
  const interfaces = [{ name: 'net1', mac: '02:00:00:00:00:01', sandbox: pod.path, ...(is1 ? { mtu: 1400 } : {}) }];
  const routes = [{ dst: '10.2.0.0/16', gw: '10.1.0.9' }];
  const dns = { nameservers: ['10.1.0.3'], search: ['a.example'] };
  return isOldest(cniVersion)
    ? { cniVersion, ip4: { ip: '10.1.0.5/24', gateway: '10.1.0.1', routes }, dns }
    : { cniVersion, interfaces, ips: [ip], routes, dns };
}

describe('an attachment', () => {
  it.each(VERSIONS)(
    'has its device in the pod from ADD to DEL, in version %s',
    { tags: 'rdma/state-keys' },
    async (cniVersion) => {
      const prevResult = resultOf(cniVersion);
      const conf = lab.conf(0, { cniVersion, prevResult });
      expect(await lab.must({ verb: 'ADD', pod, conf })).toEqual(prevResult);
      expect([await rdmaDevices(), await rdmaDevices(pod)]).toEqual([[rdmaOf(1), rdmaOf(2)], [RDMA]]);
      expect(states()[stateOf(pod)]).toContain(lab.goState(0).slice(0, -1));
      if (cniVersion >= '0.4') {
        expect(await lab.call({ verb: 'CHECK', pod, conf })).toMatchObject(OK);
      }
      expect(await lab.call({ verb: 'DEL', pod, conf })).toMatchObject(OK);
      expect([await lab.picture(), await rdmaDevices(pod)]).toEqual([ALL, []]);
    },
  );

  it('comes after sriov, is told by the interface, and goes before it', { tags: 'rdma/device-interface' }, async () => {
    const sriov = { cniVersion: '1.1.0', name: 'blue', type: 'sriov', deviceID: lab.vf(0).pci };
    const prevResult = await lab.must({ verb: 'ADD', pod, plugin: 'sriov', conf: sriov });
    const conf = lab.conf(0, { deviceID: undefined, prevResult });
    expect(await lab.must({ verb: 'ADD', pod, conf })).toEqual(prevResult);
    expect([await rdmaDevices(pod), linksOf(lab.vf(0).pci)]).toEqual([[RDMA], []]);
    expect(await lab.call({ verb: 'CHECK', pod, conf })).toMatchObject(OK);
    await lab.must({ verb: 'DEL', pod, conf });
    await lab.must({ verb: 'DEL', pod, plugin: 'sriov', conf: sriov });
    expect([await lab.picture(), linksOf(lab.vf(0).pci)]).toEqual([ALL, [lab.vf(0).link]]);
  });

  it('comes after host-device, with the device that the runtime passes', { tags: 'rdma/device-runtime' }, async () => {
    const base = { cniVersion: '1.0.0', name: 'blue', runtimeConfig: { deviceID: lab.vf(0).pci } };
    const hostDevice = { ...base, type: 'host-device' };
    const prevResult = await lab.must({ verb: 'ADD', pod, plugin: 'host-device', conf: hostDevice });
    const conf = { ...base, type: 'rdma', prevResult };
    await lab.must({ verb: 'ADD', pod, conf });
    expect(await rdmaDevices(pod)).toEqual([RDMA]);
    await lab.must({ verb: 'DEL', pod, conf });
    await lab.must({ verb: 'DEL', pod, plugin: 'host-device', conf: hostDevice });
    expect(await lab.picture()).toEqual(ALL);
  });

  it('is found by the administrative address of a VF where the interface does not tell', async () => {
    await lab.node.ip(`link set ${CARD.link} vf 1 mac 02:00:00:00:00:77`);
    const prevResult = { interfaces: [{ name: 'net1', mac: '02:00:00:00:00:77', sandbox: pod.path }] };
    await lab.must({ verb: 'ADD', pod, conf: lab.conf(0, { deviceID: '', prevResult }) });
    expect(await rdmaDevices(pod)).toEqual([rdmaOf(1)]);
    await lab.must({ verb: 'DEL', pod });
    await lab.node.ip(`link set ${CARD.link} vf 1 mac 00:00:00:00:00:00`);
  });

  it('may be of a device on the auxiliary bus', async () => {
    const conf = lab.conf(0, { deviceID: 'mlx5_core.sf.7' });
    const sysfs = fakeSysfs(lab.node, 'mlx5_core.sf.7', [RDMA]);
    await lab.must({ verb: 'ADD', pod, conf, sysfs });
    expect(await rdmaDevices(pod)).toEqual([RDMA]);
    await lab.must({ verb: 'DEL', pod, conf, sysfs });
    expect(await lab.picture()).toEqual(ALL);
  });

  it('does not care for CNI_ARGS', { tags: 'rdma/cni-args' }, async () => {
    await lab.must({ verb: 'ADD', pod, args: 'Debug=true' });
    await lab.must({ verb: 'DEL', pod, args: 'a=b=c' });
    expect(await lab.picture()).toEqual(ALL);
  });

  it('is quiet on stderr unless it is asked to write its steps', { tags: 'rdma/quiet' }, async () => {
    const conf = lab.conf(0, { args: { cni: { debug: true } } });
    expect((await lab.call({ verb: 'ADD', pod, conf })).stderr).toContain(`move RDMA device "${RDMA}" into the pod\n`);
    expect((await lab.call({ verb: 'DEL', pod })).stderr).toBe('');
  });

  it('is made by a program that takes no flags', { tags: 'rdma/no-flags' }, async () => {
    const env = { ...BASE_ENV, CNI_COMMAND: 'VERSION' };
    const { exitCode, stdout } = await execute([join(OURS.bin, 'rdma'), '--version'], { env });
    expect([exitCode, JSON.parse(stdout)]).toMatchObject([0, { cniVersion: '1.1.0' }]);
  });

  it('is completed by another ADD', { tags: 'rdma/add-again' }, async () => {
    await lab.must({ verb: 'ADD', pod });
    expect(await lab.must({ verb: 'ADD', pod })).toMatchObject({ interfaces: [{ name: 'net1' }] });
    expect(await rdmaDevices(pod)).toEqual([RDMA]);
    await lab.must({ verb: 'DEL', pod });
  });
});

describe.each(globSync('plugins/rdma/examples/*.conflist', { cwd: ROOT }).sort())('%s', (path) => {
  it('does what it says, through cnitool, with a device as multus or another runtime passes it', async () => {
    const deviceID = lab.vf(0).pci;
    const { name, cniVersion, plugins } = JSON.parse(readFileSync(join(ROOT, path), 'utf8'));
    const passed = plugins.map((conf: object) => ('capabilities' in conf ? conf : { ...conf, deviceID }));
    const network = { name, cniVersion, plugins: passed };
    const cnitool = (verb: 'add' | 'check' | 'del') =>
      lab.node.cnitool({ verb, network, pod, env: { CAP_ARGS: JSON.stringify({ deviceID }) } });
    const added = await cnitool('add');
    expect(JSON.parse(added.stdout)).toMatchObject({ interfaces: [{ name: 'net1', sandbox: pod.path }], ips: [{}] });
    expect(await rdmaDevices(pod)).toEqual([RDMA]);
    expect(await cnitool('check')).toMatchObject({ exitCode: 0, stdout: '' });
    expect(await cnitool('del')).toMatchObject({ exitCode: 0, stdout: '' });
    expect([await lab.picture(), linksOf(deviceID)]).toEqual([ALL, [lab.vf(0).link]]);
  });
});

describe('an ADD that is refused does nothing', () => {
  it.each<readonly [string, object, number, RegExp]>([
    ['without a list', { prevResult: undefined }, 7, /"prevResult" is missing: put it into a plugin list/],
    ['a path for a device', { deviceID: '../../../devices' }, 7, /cannot use "deviceID" "..\/..\/..\/devices"/],
    ['no such device', { deviceID: '0000:99:00.0' }, 7, /cannot find "deviceID" "0000:99:00.0"/],
    ['a device without RDMA', { deviceID: CARD.pci }, 7, /its driver "igb" has created none/],
    ['a device that nobody names', { deviceID: '', prevResult: {} }, 7, /"deviceID" is missing: multus passes it/],
    ['a result that cannot be printed', { cniVersion: '0.2.0', prevResult: {} }, 999, /no valid IP address/],
  ])('%s', { tags: ['rdma/device-name', 'rdma/device-none', 'rdma/old-result'] }, async (_, more, code, message) => {
    const conf = lab.conf(0, more as Readonly<Record<string, unknown>>);
    expect(await lab.fails({ verb: 'ADD', pod, conf })).toEqual([code, expect.stringMatching(message)]);
    expect(await lab.picture()).toEqual(ALL);
  });

  it('two RDMA devices', async () => {
    const sysfs = fakeSysfs(lab.node, 'mlx5_core.sf.7', [rdmaOf(0), rdmaOf(1)]);
    const conf = lab.conf(0, { deviceID: 'mlx5_core.sf.7' });
    expect(await lab.fails({ verb: 'ADD', pod, conf, sysfs })).toEqual([
      7,
      expect.stringContaining('it has "rdma0", "rdma1", and only one'),
    ]);
    expect(await lab.picture()).toEqual(ALL);
  });

  it('a folder that cannot be written', async () => {
    mkdirSync(STATES, { recursive: true });
    await lab.node.run(['mount', '-t', 'tmpfs', '-o', 'ro', 'tmpfs', STATES]);
    const failure = await lab.fails({ verb: 'ADD', pod });
    await lab.node.run(['umount', STATES]);
    expect(failure).toEqual([5, expect.stringMatching(/\/var\/lib\/cni\/rdma.*EROFS/)]);
    expect(await lab.picture()).toEqual(ALL);
  });

  it('a device that another pod has', async () => {
    const other = await lab.pod();
    await lab.must({ verb: 'ADD', pod });
    expect(await lab.fails({ verb: 'ADD', pod: other })).toEqual([
      11,
      expect.stringContaining(`"${RDMA}" of "${lab.vf(0).pci}" into the container: it is in another network namespace`),
    ]);
    expect(Object.keys(states())).toEqual([stateOf(pod)]);
    await lab.must({ verb: 'DEL', pod });
    await lab.must({ verb: 'ADD', pod: other });
    await lab.must({ verb: 'DEL', pod: other });
    expect(await lab.picture()).toEqual(ALL);
  });
});

describe('DEL', () => {
  beforeEach(async () => {
    await lab.must({ verb: 'ADD', pod });
  });

  it.each([
    ['its path is passed', undefined],
    ['no path is passed', ''],
  ])('succeeds when the namespace has ended, and %s', { tags: 'rdma/del-netns' }, async (_, netns = pod.path) => {
    await lab.node.remove(pod);
    expect(await lab.call({ verb: 'DEL', pod, netns })).toMatchObject(OK);
    await lab.untilBack(0);
    expect(await lab.picture()).toEqual(ALL);
    expect(await lab.call({ verb: 'DEL', pod, netns })).toMatchObject(OK);
  });

  it('succeeds when an empty file is left of the namespace', async () => {
    await lab.node.run(['umount', pod.path]);
    const said = expect.stringContaining(`nothing is mounted on "${pod.path}"`);
    expect(await lab.call({ verb: 'DEL', pod })).toMatchObject({ ...OK, stderr: said });
    await lab.untilBack(0);
    expect(await lab.picture()).toEqual(ALL);
  });

  it('succeeds when the device is back already', { tags: 'rdma/del-back' }, async () => {
    const other = await lab.pod();
    await lab.end(pod);
    const said = expect.stringContaining(`"${other.path}" is now another one`);
    expect(await lab.call({ verb: 'DEL', pod, netns: other.path })).toMatchObject({ ...OK, stderr: said });
    expect(await lab.picture()).toEqual(ALL);
  });

  it('finds a device that the pod has renamed', { tags: 'rdma/del-renamed' }, async () => {
    await lab.node.run(['rdma', 'dev', 'set', RDMA, 'name', 'mine'], {}, pod);
    expect(await lab.call({ verb: 'CHECK', pod })).toMatchObject(OK);
    await lab.must({ verb: 'DEL', pod });
    await lab.node.run(['rdma', 'dev', 'set', 'mine', 'name', RDMA]);
    expect(await lab.picture()).toEqual(ALL);
  });

  it('takes the device back when the state is one of the Go plugin', async () => {
    writeState(stateOf(pod), lab.goState(0));
    expect(await lab.call({ verb: 'CHECK', pod })).toMatchObject(OK);
    await lab.must({ verb: 'DEL', pod });
    expect(await lab.picture()).toEqual(ALL);
  });

  it('takes the device back when the state is broken', { tags: 'rdma/state-broken' }, async () => {
    writeState(stateOf(pod), '{"version":"1.0","devi');
    await lab.must({ verb: 'DEL', pod });
    expect(await lab.picture()).toEqual(ALL);
  });

  it('needs nothing of the configuration but its name', { tags: 'rdma/del-lenient' }, async () => {
    const conf = { name: 'blue', cniVersion: '1.1.0', deviceID: 5, prevResult: 7, args: 'x', capabilities: [] };
    await lab.must({ verb: 'DEL', pod, conf });
    expect(await lab.picture()).toEqual(ALL);
  });
});

describe('CHECK', () => {
  it('fails when the device is not in the pod, or nothing is known of it', { tags: 'rdma/check' }, async () => {
    expect(await lab.fails({ verb: 'CHECK', pod })).toEqual([
      999,
      expect.stringContaining('the attachment has no state'),
    ]);
    writeState(stateOf(pod), lab.goState(0));
    expect(await lab.fails({ verb: 'CHECK', pod })).toEqual([999, expect.stringContaining('it is on the host')]);
    await lab.must({ verb: 'DEL', pod });
    expect(await lab.picture()).toEqual(ALL);
  });
});

describe('GC', () => {
  it('gives back what attachments have that are not valid, of this network only', { tags: 'rdma/gc' }, async () => {
    const [second, third] = [await lab.pod(), await lab.pod()];
    const red = lab.conf(2, { name: 'blue-2' });
    await lab.must({ verb: 'ADD', pod });
    await lab.must({ verb: 'ADD', pod: second, conf: lab.conf(1) });
    await lab.must({ verb: 'ADD', pod: third, conf: red });
    writeState('blue-gone-net1', lab.goState(0));
    const gc = (...valid: readonly Pod[]) => {
      const attachments = valid.map(({ name }) => ({ containerID: name, ifname: 'net1' }));
      const conf = lab.conf(0, { 'cni.dev/valid-attachments': attachments, prevResult: undefined });
      return lab.must({ verb: 'GC', conf });
    };
    await gc(pod, second); // the device of the Go plugin's file is not on the node: nobody knows where
    expect(Object.keys(states())).toHaveLength(4);
    writeState('blue-gone-net1', lab.goState(0).replaceAll(RDMA, 'rdma7').replace(lab.vf(0).pci, CARD.pci));
    await gc(second);
    expect([await rdmaDevices(), await rdmaDevices(second), await rdmaDevices(third)]).toEqual([
      [RDMA],
      [rdmaOf(1)],
      [rdmaOf(2)],
    ]);
    writeState('blue-gone-net1', lab.goState(0));
    await lab.end(second, 1);
    await gc();
    expect(Object.keys(states())).toEqual([stateOf(third, 'blue-2')]);
    await lab.must({ verb: 'DEL', pod: third, conf: red });
    expect(await lab.picture()).toEqual(ALL);
  });
});
