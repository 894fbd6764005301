import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { clockOf } from '../../../lib/sys/clock.ts';
import { temporaryFolder } from '../../../lib/sys/testing/temporary.ts';
import type { PodObject } from '../cluster/objects.ts';
import { assignDevices, type DeviceSources } from './devices.ts';
import { claim, fakeClaims, slice } from './testing/fake-claims.ts';
import { answering, podAnswer, refusing, serveKubelet } from './testing/fake-kubelet.ts';

const WEB = { namespace: 'demo', name: 'web' };
const POD: PodObject = { metadata: { ...WEB, uid: 'u1' } };
const CLAIMING: PodObject = {
  ...POD,
  spec: { nodeName: 'n1', resourceClaims: [{ name: 'a' }] },
  status: { resourceClaimStatuses: [{ name: 'a', resourceClaimName: 'web-a' }] },
};

const signal = new AbortController().signal;
const asking = { ...clockOf(signal), signal };

/** The kubelet's folders of a node. */
function nodeFolder() {
  const folder = temporaryFolder();
  const [socket, checkpoint] = ['pod-resources/kubelet.sock', 'device-plugins/kubelet_internal_checkpoint'].map(
    (path) => join(folder.path, 'var/lib/kubelet', path),
  ) as [string, string];
  for (const path of [socket, checkpoint]) {
    mkdirSync(dirname(path), { recursive: true });
  }
  const record = (entries: readonly (readonly [uid: string, resource: string, ...ids: readonly string[]])[]): void =>
    writeFileSync(
      checkpoint,
      JSON.stringify({
        Data: {
          PodDeviceEntries: entries.map(([PodUID, ResourceName, ...ids]) => ({
            PodUID,
            ResourceName,
            DeviceIDs: { '0': ids },
          })),
        },
      }),
    );
  return { root: folder.path, socket, record, [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

function assign(sources: Partial<DeviceSources>, wanted: readonly (string | undefined)[], warnings: string[] = []) {
  const warn = (message: string): number => warnings.push(message);
  return assignDevices(asking, { pod: POD, runtimeUid: 'u1', api: undefined, warn, ...sources }, wanted);
}

describe('assignDevices', () => {
  it('asks nobody where no network wants a device', async () => {
    expect(await assign({ root: '/nowhere' }, [undefined, '', undefined])).toEqual([undefined, undefined, undefined]);
    expect(await assign({ root: '/nowhere' }, [])).toEqual([]);
  });

  it('gives each network the next device of its resource, asking the kubelet once', async () => {
    using node = nodeFolder();
    const answer = podAnswer(WEB, [
      ['v.com/x', 'c', 'a'],
      ['v.com/y', 'd'],
      ['v.com/x', 'b'],
    ]);
    await using kubelet = await serveKubelet({ get: answering(answer) }, node.socket);
    const warnings: string[] = [];
    expect(
      await assign({ root: node.root }, ['v.com/x', undefined, 'v.com/y', 'v.com/x', 'v.com/x'], warnings),
    ).toEqual(['a', undefined, 'd', 'b', 'c']);
    expect(kubelet.calls).toHaveLength(1);
    expect(warnings).toEqual([]);
  });

  it('leaves networks without one where there is none left, and says so', async () => {
    using node = nodeFolder();
    await using _kubelet = await serveKubelet({ get: answering(podAnswer(WEB, [['v.com/x', 'a']])) }, node.socket);
    const warnings: string[] = [];
    expect(await assign({ root: node.root }, ['v.com/x', 'v.com/x', 'v.com/z'], warnings)).toEqual([
      'a',
      undefined,
      undefined,
    ]);
    expect(warnings).toEqual([
      'not every network gets a device of "v.com/x": the pod has 1',
      'not every network gets a device of "v.com/z": the pod has 0',
    ]);
  });

  it('reads the record of the kubelet where it has no socket, by the UID that the runtime has from it', async () => {
    using node = nodeFolder();
    node.record([
      ['u1', 'v.com/x', 'of the mirror'],
      ['static', 'v.com/x', 'b', 'a'],
    ]);
    expect(await assign({ root: node.root, runtimeUid: 'static' }, ['v.com/x', 'v.com/x'])).toEqual(['a', 'b']);
    expect(await assign({ root: node.root, runtimeUid: '' }, ['v.com/x'])).toEqual(['of the mirror']);
  });

  it.each([
    ['one of 1.36', { get: refusing(2, 'pod web in namespace demo not found') }],
    ['an old one', { list: answering(podAnswer({ namespace: 'demo', name: 'other' }, [['v.com/x', 'b']])) }],
  ])('reads the record where the kubelet, %s, has just started and knows no pod yet', async (_, kubelet) => {
    using node = nodeFolder();
    await using _kubelet = await serveKubelet(kubelet, node.socket);
    expect(await assign({ root: node.root }, ['v.com/x'])).toEqual([undefined]); // none has ever got a device
    node.record([['u1', 'v.com/x', 'a']]);
    expect(await assign({ root: node.root }, ['v.com/x', 'v.com/x'])).toEqual(['a', undefined]);
  });

  it('takes the word of a kubelet that knows the pod', async () => {
    using node = nodeFolder();
    node.record([['u1', 'v.com/x', 'a']]);
    await using _kubelet = await serveKubelet({ get: answering(podAnswer(WEB, [])) }, node.socket);
    expect(await assign({ root: node.root }, ['v.com/x'])).toEqual([undefined]);
  });

  it('refuses where neither the kubelet nor its record tells', async () => {
    using node = nodeFolder();
    await expect(assign({ root: node.root }, ['v.com/x'])).rejects.toThrow(
      /^failed to get a ResourceClient instance: cannot read ".*kubelet_internal_checkpoint": ENOENT /,
    );
    await using _kubelet = await serveKubelet({ get: refusing(13, 'oh') }, node.socket);
    node.record([['u1', 'v.com/x', 'a']]); // is not taken for the kubelet's answer
    await expect(assign({ root: node.root }, ['v.com/x'])).rejects.toThrow(
      /^failed to get a ResourceClient instance: cannot call .*: oh \(gRPC status 13\)$/,
    );
  });

  it('gives the devices of claims after those of the kubelet', async () => {
    using node = nodeFolder();
    node.record([['u1', 'v.com/x', 'z']]);
    const devices = [['vf-0', 'a', 'v.com/x'] as const];
    const { api, requests } = fakeClaims([claim('web-a', [['r', 'd', 'p', 'vf-0']])], [slice({ devices })]);
    const sources = { root: node.root, pod: CLAIMING, api };
    expect(await assign(sources, ['v.com/x', 'v.com/x', 'v.com/x'])).toEqual(['z', 'a', undefined]);
    expect(requests).toEqual(['GET demo/web-a', 'LIST spec.nodeName=n1,spec.driver=d']);
  });

  it('does not ask about claims where the kubelet has told enough', async () => {
    using node = nodeFolder();
    node.record([['u1', 'v.com/x', 'a']]);
    const { api, requests } = fakeClaims([], []);
    expect(await assign({ root: node.root, pod: CLAIMING, api }, ['v.com/x'])).toEqual(['a']);
    expect(requests).toEqual([]);
  });
});
