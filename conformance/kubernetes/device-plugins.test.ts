/** Our device plugins under a real kubelet: resources of its node, devices of pods, restarts of either of them. */
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runtimes } from '../containerd/install.ts';
import { until } from '../containerd/poll.ts';
import { linkOf } from '../lab/state.ts';
import { RUNTIME } from './configs.ts';
import { ALL, configureKubelet, DeviceLab, infoName, PROGRAM, SHARED, sriov, VF, vfOf, withVf } from './device-lab.ts';
import { leavesNothing } from './everything.ts';
import { CARD_DRIVER, CARDS, DPDK, HCA, NICS, OTHER_HCA, VFS } from './made-devices.ts';
import type { Way } from './own-device-plugins.ts';
import {
  createPods,
  deletePods,
  eventsOf,
  isReady,
  NETWORKS,
  networkStatusOf,
  podState,
  removePods,
  running,
  runPods,
  untilPods,
  untilReady,
} from './pods.ts';

const WAYS: readonly Way[] = ['found by the kubelet', 'registered with the kubelet'];

/** Device files of so many RDMA devices, by number. */
const rdmaFiles = (...numbers: readonly number[]): readonly string[] =>
  [...numbers.flatMap((number) => [`issm${number}`, `umad${number}`, `uverbs${number}`]), 'rdma_cm']
    .map((name) => `/dev/infiniband/${name}`)
    .sort();

/** Those of all that a container can get. */
const FILES = [...rdmaFiles(0), '/dev/vfio/12', '/dev/vfio/vfio'];

let lab: DeviceLab;

beforeAll(async () => {
  lab = await DeviceLab.open();
});
afterAll(() => lab?.[Symbol.asyncDispose]());

/** More than it writes. */
const KUBELET_LINES = 100_000;

const CTR = [`${RUNTIME}/ctr`, '-n', 'k8s.io'];

/** Kubelets write down what devices containers have been given. */
const CHECKPOINT = '/var/lib/kubelet/device-plugins/kubelet_internal_checkpoint';

/** The answers that it keeps, as text, which names in them are. */
const answersKept = (): readonly string[] => {
  const { Data } = JSON.parse(readFileSync(lab.node.pathHere(CHECKPOINT), 'utf8')) as {
    readonly Data: { readonly PodDeviceEntries: readonly { readonly AllocResp: string }[] };
  };
  return Data.PodDeviceEntries.map(({ AllocResp }) => Buffer.from(AllocResp, 'base64').toString('latin1'));
};

describe.each(WAYS)('device plugins that are %s', (way) => {
  beforeEach(() => lab.startAll(way));
  afterEach(async () => {
    await removePods(lab.kubernetes);
    await lab.plugins[Symbol.asyncDispose]();
    await lab.untilAllocatable({ [VF]: '0', [PROGRAM]: '0', [SHARED]: '0' });
  });

  it('give pods devices, which multus hands to the networks', async () => {
    const { kubernetes } = lab;
    await leavesNothing(kubernetes, async () => {
      const limits = { [VF]: '1', [PROGRAM]: '1', [SHARED]: '1' };
      const [pod] = await runPods(kubernetes, [{ name: 'a', annotations: { [NETWORKS]: 'vfs,rail' }, limits }]);
      const own = await lab.given('a');
      const vf = vfOf(own);
      expect(own.env).toEqual({
        PCIDEVICE_EXAMPLE_COM_VF: vf,
        PCIDEVICE_EXAMPLE_COM_VF_INFO: `{"${vf}":{"extra":{"rack":"7"},"generic":{"deviceID":"${vf}"}}}`,
        PCIDEVICE_EXAMPLE_COM_DPDK: DPDK,
        PCIDEVICE_EXAMPLE_COM_DPDK_INFO: `{"${DPDK}":{"generic":{"deviceID":"${DPDK}"},"vfio":{"dev-mount":"/dev/vfio/12","mount":"/dev/vfio/vfio"}}}`,
      });
      expect(own.files).toEqual(FILES);
      const info = { type: 'pci', version: '1.1.0', pci: { 'pci-address': vf } };
      expect(lab.infos()).toMatchObject({
        [infoName(vf)]: JSON.stringify(info),
        [`example.com-dpdk-${DPDK}-device.json`]: `{"type":"pci","version":"1.1.0","pci":{"pci-address":"${DPDK}"}}`,
      });
      const [, net1, net2] = networkStatusOf(pod ?? expect.fail('there is no pod'));
      expect(net1).toMatchObject({ name: 'default/vfs', interface: 'net1', 'device-info': info });
      expect(net2).toMatchObject({ name: 'default/rail', interface: 'net2' });
      // host-device has got the address, and found its interface by it
      expect(linkOf(await podState(await running(kubernetes, 'a')), 'net1')).toMatchObject({
        ifalias: NICS[VFS.indexOf(vf)],
      });
      await removePods(kubernetes);
      // as of each thing in its folder that is gone when it looks
      expect(lab.node.lastWords('kubelet', KUBELET_LINES)).not.toContain('Error when handling create event');
    });
  });

  it.each(['stop', 'kill'] as const)('have them again for a kubelet that is started anew: %s', async (how) => {
    await runPods(lab.kubernetes, [withVf('a')]);
    const before = await lab.given('a');
    await lab.node.restart('kubelet', how);
    await lab.untilAllocatable(ALL);
    await runPods(lab.kubernetes, [withVf('b')]);
    expect(await lab.given('a')).toEqual(before);
    expect(vfOf(await lab.given('b'))).not.toBe(vfOf(before));
  });

  it('may be killed under pods, which keep what they have: nothing is given twice', async () => {
    const { kubernetes, plugins, devices } = lab;
    await runPods(kubernetes, [withVf('a')]);
    const before = await lab.given('a');
    devices.hideInterface(vfOf(before)); // it is in the pod
    try {
      await plugins.end('sriovdp', 'kill');
      await lab.untilAllocatable({ [VF]: '0', [PROGRAM]: '0', [SHARED]: '3' });
      plugins.start('sriovdp');
      await lab.untilAllocatable(ALL);
      await runPods(kubernetes, ['b', 'c'].map(withVf));
      const all = [before, ...(await Promise.all(['b', 'c'].map((name) => lab.given(name))))].map(vfOf);
      expect(all.toSorted()).toEqual(VFS);
      await createPods(kubernetes, [withVf('d')]);
      await until('a fourth pod to wait', async () => {
        const events = await eventsOf(kubernetes, 'd');
        return events.some((event) => event.includes(`Insufficient ${VF}`)) ? true : undefined;
      });
      expect(await lab.given('a')).toEqual(before);
      expect(Object.keys(lab.infos())).toEqual(expect.arrayContaining(VFS.map(infoName)));
      await deletePods(kubernetes, ['c']);
      await untilReady(kubernetes, ['d']);
      expect(vfOf(await lab.given('d'))).toBe(all[2]);
    } finally {
      devices.showInterface(vfOf(before));
    }
  });
});

const end = async (): Promise<void> => {
  await removePods(lab.kubernetes);
  await lab.plugins[Symbol.asyncDispose]();
};

describe.skipIf(!runtimes().some(({ name }) => name === 'containerd 2'))('with CDI, which containerd 2 knows', () => {
  it('the runtime adds the device files of all resources of a container, also when it is started again', async () => {
    const { kubernetes, plugins } = lab;
    plugins.flags = ['--use-cdi'];
    try {
      await lab.startAll('found by the kubelet');
      await runPods(kubernetes, [{ name: 'a', limits: { [VF]: '1', [PROGRAM]: '1', [SHARED]: '1' } }]);
      const given = await lab.given('a');
      expect(given.files).toEqual(FILES);
      expect(given.env).toMatchObject({ PCIDEVICE_EXAMPLE_COM_DPDK: DPDK });
      const answers = answersKept().join('\n');
      expect(answers).toContain(`example.com/net-pci=${DPDK}`);
      expect(answers).toContain(`nvidia.com/net-rdma=${HCA}`);
      expect(answers).not.toContain('/dev/infiniband'); // variables tell of those of vfio
      await plugins[Symbol.asyncDispose](); // names are known without it
      await lab.node.run(lab.node.entering([...CTR, 'tasks', 'kill', '-s', 'SIGKILL', given.container]));
      await untilPods(
        kubernetes,
        'the container to be started again',
        (pods) =>
          pods.some((pod) => isReady(pod) && (pod.status.containerStatuses?.[0]?.restartCount ?? 0) > 0) || undefined,
      );
      const restarted = await lab.given('a');
      expect(restarted.container).not.toBe(given.container);
      expect([restarted.env, restarted.files]).toEqual([given.env, FILES]);
    } finally {
      plugins.flags = [];
      await end();
    }
  });
});

describe('RDMA devices that containers share one by one', () => {
  const RESOURCE = 'rdma/hcas';
  const hcas = { resourceName: 'hcas', rdmaHcaMax: 2, perDevice: true, selectors: { drivers: ['mlx5_core'] } };

  it('give a container their own files, as many as it asks for, and tell multus which they are', async () => {
    const { kubernetes, plugins, devices } = lab;
    try {
      await plugins.configure('k8s-rdma-shared-dp', { configList: [hcas] });
      plugins.start('k8s-rdma-shared-dp');
      await lab.untilAllocatable({ [RESOURCE]: '4' });
      await runPods(kubernetes, [
        { name: 'a', limits: { [RESOURCE]: '1' } },
        { name: 'b', limits: { [RESOURCE]: '2' } },
      ]);
      expect([rdmaFiles(0), rdmaFiles(1)]).toContainEqual((await lab.given('a')).files);
      expect((await lab.given('b')).files).toEqual(rdmaFiles(0, 1));
      const told = Object.entries(lab.infos()).filter(([name]) => name.startsWith('rdma-hcas-'));
      expect(told).toHaveLength(3);
      for (const [name, info] of told) {
        const [, device] = /^rdma-hcas-(.*)-\d-device\.json$/.exec(name) ?? [];
        expect(JSON.parse(info)).toMatchObject({ type: 'pci', pci: { 'pci-address': device } });
      }
      await devices.lose(OTHER_HCA);
      await lab.untilAllocatable({ [RESOURCE]: '2' });
      await devices.return(OTHER_HCA);
      await lab.untilAllocatable({ [RESOURCE]: '4' });
    } finally {
      await end();
      await lab.untilAllocatable({ [RESOURCE]: '0' });
    }
  });
});

describe('a kubelet that aligns devices of a container', () => {
  const CHOICE = { resourceName: 'choice', selectors: { drivers: [CARD_DRIVER] } };
  const RESOURCE = 'example.com/choice';

  /** Once: a kubelet that has just started still counts devices of pods that are gone. */
  beforeAll(() => configureKubelet(lab.node, { topologyManagerPolicy: 'single-numa-node' }));

  it.each(['packed', 'near'])('asks which to take: %s', async (allocation) => {
    const { kubernetes, plugins } = lab;
    try {
      await plugins.configure('sriovdp', sriov({ ...CHOICE, allocation }));
      plugins.start('sriovdp');
      await lab.untilAllocatable({ [RESOURCE]: '8' });
      await runPods(
        kubernetes,
        ['a', 'b'].map((name) => ({ name, limits: { [RESOURCE]: '4' } })),
      );
      const given = await Promise.all(['a', 'b'].map((name) => lab.given(name)));
      const ids = given.map(({ env }) => env['PCIDEVICE_EXAMPLE_COM_CHOICE']?.split(',').toSorted());
      // one time in 35 a kubelet would take them so by itself
      expect(ids.toSorted()).toEqual(Object.values(CARDS));
    } finally {
      await end();
      await lab.untilAllocatable({ [RESOURCE]: '0' });
    }
  });
});
