/** Networks with devices: which a kubelet gives to a pod, and what becomes of them. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { expectSuccess } from '../cluster/request.ts';
import { type DevicePlugin, pluginDevices, untilAllocatable } from './device-plugin.ts';
import { leavesNothing } from './everything.ts';
import { Kubernetes } from './kubernetes.ts';
import { applyNetwork, installMultus } from './multus.ts';
import { whereabouts } from './networks.ts';
import type { Node } from './node.ts';
import { NETWORKS, networkStatusOf, podSpec, removePods, running, untilReady } from './pods.ts';

const VFS = ['0000:01:10.6', '0000:01:10.0', '0000:01:10.4', '0000:01:10.2'];
const PORTS = ['0000:02:00.1'];
const INFOS = '/run/k8s.cni.cncf.io/devinfo';

let kubernetes: Kubernetes;
let node: Node;
const plugins: DevicePlugin[] = [];

beforeAll(async () => {
  kubernetes = await Kubernetes.start();
  node = kubernetes.node('n1');
  await installMultus(kubernetes);
  for (const [index, resource] of ['example.com/vf', 'example.com/vf', 'example.com/port'].entries()) {
    const macvlan = { type: 'macvlan', master: 'rail0', mode: 'bridge', ipam: whereabouts(`10.9.${index}.0/24`) };
    await applyNetwork(kubernetes, `net-${index}`, { cniVersion: '1.0.0', plugins: [macvlan] }, resource);
  }
  plugins.push(await pluginDevices(node, 'example.com/vf', VFS), await pluginDevices(node, 'example.com/port', PORTS));
  await untilAllocatable(kubernetes, 'n1', {
    'example.com/vf': String(VFS.length),
    'example.com/port': String(PORTS.length),
  });
});

afterAll(async () => {
  for (const plugin of plugins) {
    plugin[Symbol.dispose]();
  }
  await kubernetes?.[Symbol.asyncDispose]();
});

/** @param limits of each container */
async function runPod(name: string, networks: string, limits: readonly Readonly<Record<string, string>>[]) {
  const { containers, ...spec } = podSpec({ node: 'n1' });
  const body = {
    metadata: { name, annotations: { [NETWORKS]: networks } },
    spec: {
      ...spec,
      containers: limits.map((limit, index) => ({ ...containers[0], name: `c${index}`, resources: { limits: limit } })),
    },
  };
  await expectSuccess(kubernetes.cluster.send('/api/v1/namespaces/default/pods', { method: 'POST', body }));
  const [pod] = await untilReady(kubernetes, [name]);
  return pod ?? expect.fail('there is no pod');
}

/** What each attachment of a pod was made with, by interface. */
async function recordsOf(name: string) {
  const { id } = await running(kubernetes, name);
  const results = node.pathHere('/var/lib/cni/multus/results');
  const records = readdirSync(results)
    .filter((file) => file.includes(id))
    .map((file) => JSON.parse(readFileSync(join(results, file), 'utf8')))
    .map(({ ifName, config, capabilityArgs }) => {
      const [{ deviceID, pciBusID }] = JSON.parse(String(Buffer.from(config, 'base64'))).plugins;
      return [ifName, { devices: [deviceID, pciBusID], args: capabilityArgs }] as const;
    });
  return { id, records: Object.fromEntries(records) };
}

const infoFiles = (): readonly string[] => {
  const folder = node.pathHere(`${INFOS}/cni`);
  return existsSync(folder) ? readdirSync(folder) : [];
};

it('each network of a pod has a device of its own, in the order of ids, and says what is known of it', async () => {
  mkdirSync(node.pathHere(`${INFOS}/dp`), { recursive: true });
  for (const id of VFS) {
    const info = { type: 'pci', version: '1.1.0', pci: { 'pci-address': id } };
    writeFileSync(node.pathHere(`${INFOS}/dp/example.com-vf-${id}-device.json`), JSON.stringify(info));
  }
  await leavesNothing(kubernetes, async () => {
    const limits = [{ 'example.com/vf': '1', 'example.com/port': '1' }, { 'example.com/vf': '2' }];
    const pod = await runPod('a', 'net-0,net-2,net-1', limits);
    const { id, records } = await recordsOf('a');
    const devices = ['net1', 'net2', 'net3'].map((ifName) => records[ifName]?.devices[0]);
    const [first = '', port, second = ''] = devices;
    expect(port).toBe(PORTS[0]);
    expect(VFS).toEqual(expect.arrayContaining([first, second]));
    expect(first < second).toBe(true);
    for (const [ifName, network, device] of [
      ['net1', 'net-0', first],
      ['net2', 'net-2', port],
      ['net3', 'net-1', second],
    ]) {
      expect(records[ifName ?? '']).toEqual({
        devices: [device, device],
        args: expect.objectContaining({
          deviceID: device,
          CNIDeviceInfoFile: `/var/run/k8s.cni.cncf.io/devinfo/cni/default-${network}-${id}_${ifName}`,
        }),
      });
    }
    expect(networkStatusOf(pod).map((status) => status['device-info'])).toEqual([
      undefined,
      { type: 'pci', version: '1.1.0', pci: { 'pci-address': first } },
      undefined, // its plugin says nothing
      { type: 'pci', version: '1.1.0', pci: { 'pci-address': second } },
    ]);
    expect(infoFiles()).toEqual([`default-net-0-${id}_net1`, `default-net-1-${id}_net3`]);
    await removePods(kubernetes);
  });
  expect(infoFiles()).toEqual([]);
});

it('a network whose resource the pod has not asked for has no device', async () => {
  await leavesNothing(kubernetes, async () => {
    await runPod('b', 'net-0,net-1', [{ 'example.com/vf': '1' }]);
    const { records } = await recordsOf('b');
    expect(records['net1']?.devices).toEqual([expect.any(String), expect.any(String)]);
    expect(records['net2']?.devices).toEqual([undefined, undefined]);
    await removePods(kubernetes);
  });
});
