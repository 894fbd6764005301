/** What befalls devices, their configuration and their node while pods have them. */
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { expectSuccess } from '../cluster/request.ts';
import { until } from '../containerd/poll.ts';
import {
  ALL,
  DeviceLab,
  infoName,
  PROGRAM,
  PROGRAM_RESOURCE,
  RACK,
  SHARED,
  sriov,
  VF,
  VF_RESOURCE,
  vfOf,
  withVf,
} from './device-lab.ts';
import { startGoDevicePlugin } from './go-device-plugin.ts';
import { DPDK, HCA, MadeDevices, NICS, VFS } from './made-devices.ts';
import type { Given } from './own-device-plugins.ts';
import { deletePods, NETWORKS, networkStatusOf, runPods, untilPods, untilReady } from './pods.ts';

const SOCKETS = '/var/lib/kubelet/plugins_registry';

let lab: DeviceLab;
/** a pod with a VF, as it was in the beginning */
let before: Given;
let vf: string;

beforeAll(async () => {
  lab = await DeviceLab.open();
  await lab.startAll('found by the kubelet');
  await runPods(lab.kubernetes, [
    withVf('a'),
    { name: 'b', annotations: { [NETWORKS]: 'rail' }, limits: { [SHARED]: '1', [PROGRAM]: '1' } },
  ]);
  before = await lab.given('a');
  vf = vfOf(before);
});
afterAll(() => lab?.[Symbol.asyncDispose]());

it('braid devices shows resources, devices, health and holders', async () => {
  const rows = JSON.parse(await lab.plugins.look('--json'));
  const common = { numaNode: 0, ailment: '' };
  const held = { holders: ['default/b main'] };
  expect(rows).toEqual([
    ...VFS.map((device, index) => ({
      ...common,
      resource: VF,
      device,
      driver: 'iavf',
      interface: NICS[index],
      holders: device === vf ? ['default/a main'] : [],
    })),
    { ...common, ...held, resource: PROGRAM, device: DPDK, driver: 'vfio-pci', interface: 'ens0' },
    { ...common, ...held, resource: SHARED, device: HCA, driver: 'mlx5_core', interface: 'rail0' },
  ]);
  const lines = (await lab.plugins.look()).split('\n').map((line) => line.split(/ {2,}/));
  expect(lines[0]).toEqual(['RESOURCE', 'DEVICE', 'DRIVER', 'INTERFACE', 'NUMA', 'HEALTH', 'HELD BY']);
  expect(lines).toContainEqual([SHARED, HCA, 'mlx5_core', 'rail0', '0', 'healthy', 'default/b main']);
  expect(lines).toContainEqual(['5 devices, 3 held']);
});

it('a device that is lost is one less for the node, but stays the pod’s', async () => {
  await lab.devices.lose(vf);
  try {
    await lab.untilAllocatable({ ...ALL, [VF]: '2' });
    expect(await capacityOf(VF)).toBe('3');
    const rows = JSON.parse(await lab.plugins.look('--json')) as readonly DeviceRow[];
    expect(rows.find(({ device }) => device === vf)).toMatchObject({
      ailment: 'it has gone',
      holders: ['default/a main'],
    });
  } finally {
    await lab.devices.return(vf);
  }
  await lab.untilAllocatable(ALL);
  expect(await lab.given('a')).toEqual(before);
});

it('a card without carrier has no healthy functions, and all when it has one again', async () => {
  await lab.devices.setCarrier('down');
  try {
    await lab.untilAllocatable({ ...ALL, [VF]: '0' });
    expect(await lab.plugins.look()).toContain('link "ens0" has no carrier');
  } finally {
    await lab.devices.setCarrier('up');
  }
  await lab.untilAllocatable(ALL);
  expect(await lab.given('a')).toEqual(before);
});

it('a bad configuration changes nothing; a resource that a good one lacks is gone, and its held device nobody’s', async () => {
  const { plugins } = lab;
  await plugins.configure('sriovdp', '{"resourceList":[{"resourceName":"a b","selectors":{}}]}');
  await until('a bad configuration to be refused', () =>
    plugins.lastWords('sriovdp').includes('"resourceList.0.resourceName" "a b"') ? true : undefined,
  );
  await lab.untilAllocatable(ALL);
  await plugins.configure('sriovdp', sriov({ ...VF_RESOURCE, resourceName: 'other' }, PROGRAM_RESOURCE));
  await lab.untilAllocatable({ ...ALL, [VF]: '0', 'example.com/other': '2' });
  expect(existsSync(lab.node.pathHere(`${SOCKETS}/example.com_vf.sock`))).toBe(false);
  await plugins.configure('sriovdp', sriov(VF_RESOURCE, PROGRAM_RESOURCE));
  await lab.untilAllocatable({ ...ALL, 'example.com/other': '0' });
  expect(await lab.given('a')).toEqual(before);
});

it('Go’s plugin takes over under pods, gives back, and takes over again: nobody sees a difference', async () => {
  const { plugins, kubernetes } = lab;
  const name = infoName(vf);
  const { [name]: told } = lab.infos();
  const toGo = async (): Promise<Disposable> => {
    await plugins.end('sriovdp', 'stop');
    await lab.untilAllocatable({ [VF]: '0' });
    const go = await startGoDevicePlugin(lab.node, { prefix: 'example.com', name: 'vf', ids: VFS, extra: RACK });
    await lab.untilAllocatable({ [VF]: '3' });
    return go;
  };
  const back = async (go: Disposable): Promise<void> => {
    go[Symbol.dispose]();
    expect(Object.keys(lab.infos())).not.toContain(name); // it removes all of them
    await lab.untilAllocatable({ [VF]: '0' });
    plugins.start('sriovdp');
    await lab.untilAllocatable(ALL);
  };
  const keptBy = async (...pods: readonly Given[]): Promise<void> => {
    for (const [index, pod] of pods.entries()) {
      expect(await lab.given(['a', 'c', 'd'][index] ?? '')).toEqual(pod);
    }
  };

  let go = await toGo();
  try {
    const [pod] = await runPods(kubernetes, [withVf('c')]);
    expect(networkStatusOf(pod ?? expect.fail())[1]).toHaveProperty('device-info');
    const ofGo = await lab.given('c');
    expect(asIfOf(before, ofGo)).toEqual(ofGo.env); // the variables of both are the same to the byte
    const goTold = lab.infos()[infoName(vfOf(ofGo))];
    await keptBy(before, ofGo);

    await back(go);
    expect(lab.infos()).toMatchObject({ [name]: told, [infoName(vfOf(ofGo))]: goTold });
    await runPods(kubernetes, [withVf('d')]);
    const ours = await lab.given('d');
    const all = [before, ofGo, ours];
    await keptBy(...all);
    expect(await holders()).toEqual(
      Object.fromEntries(all.map((one, index) => [vfOf(one), [`default/${['a', 'c', 'd'][index]} main`]])),
    );

    go = await toGo();
    await keptBy(...all);
    await deletePods(kubernetes, ['c', 'd']);
    await runPods(kubernetes, [withVf('e')]);
    expect([vfOf(ofGo), vfOf(ours)]).toContain(vfOf(await lab.given('e')));
    await deletePods(kubernetes, ['e']);
    await keptBy(before);
    await untilPods(kubernetes, 'two pods to be left', (pods) => (pods.length === 2 ? true : undefined));
  } finally {
    await back(go);
  }
});

it('after a power cut pods have the devices that they had, and multus is told of them again', async () => {
  const { node, kubernetes, plugins } = lab;
  await node.cutPower();
  await node.boot();
  await MadeDevices.on(node);
  expect(lab.infos()).toEqual({});
  plugins.start('sriovdp', 'k8s-rdma-shared-dp');
  // A kubelet refuses pods for good whose resources nobody has registered yet: it is to hear of them after these.
  const server = kubernetes.cluster.apiServer();
  server.pause();
  try {
    await node.start('kubelet');
    await lab.untilRegistered(ALL);
  } finally {
    server.resume();
  }
  await untilPods(kubernetes, 'both pods to run again', (pods) => {
    const restarts = pods.map(({ status }) => status.containerStatuses?.[0]?.restartCount ?? 0);
    return restarts.every((count) => count > 0) ? true : undefined;
  });
  await untilReady(kubernetes, ['a', 'b']);
  const after = await lab.given('a');
  expect([after.env, after.files]).toEqual([before.env, before.files]);
  expect(after.container).not.toBe(before.container);
  expect(lab.infos()).toHaveProperty([infoName(vf)]);
  await lab.untilAllocatable(ALL);
});

/** What one pod has been told, as if it had the virtual function of another. */
const asIfOf = (one: Given, other: Given): Given['env'] =>
  Object.fromEntries(Object.entries(one.env).map(([key, text]) => [key, text.replaceAll(vfOf(one), vfOf(other))]));

/** Who has virtual functions, as `braid devices` says. */
async function holders(): Promise<Readonly<Record<string, readonly string[]>>> {
  const rows = JSON.parse(await lab.plugins.look('--json')) as readonly DeviceRow[];
  return Object.fromEntries(rows.filter(({ resource }) => resource === VF).map((row) => [row.device, row.holders]));
}

interface DeviceRow {
  readonly resource: string;
  readonly device: string;
  readonly holders: readonly string[];
}

async function capacityOf(resource: string): Promise<string | undefined> {
  const { status } = await expectSuccess<{ readonly status: { readonly capacity: Record<string, string> } }>(
    lab.kubernetes.cluster.send('/api/v1/nodes/n1'),
  );
  return status.capacity[resource];
}
