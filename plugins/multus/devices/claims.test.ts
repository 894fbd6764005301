import { describe, expect, it } from 'vitest';
import { ApiError, type KubeObject } from '../../../lib/kube/api.ts';
import type { Clock } from '../../../lib/sys/clock.ts';
import type { PodObject } from '../cluster/objects.ts';
import { claimedDevices, hasClaims } from './claims.ts';
import { claim, fakeClaims, slice } from './testing/fake-claims.ts';

const metadata = { name: 'web', namespace: 'demo', uid: 'u1' };
const withClaims = (...names: readonly string[]): PodObject => ({
  metadata,
  spec: { nodeName: 'n1', resourceClaims: names.map((name) => ({ name })) },
  status: { resourceClaimStatuses: names.map((name) => ({ name, resourceClaimName: `web-${name}` })) },
});

const NEVER: Clock = { now: () => 0, sleep: () => new Promise(() => undefined) };

/** What a pod gets, what is asked for that, and what is warned of. */
async function claimed(
  pod: PodObject,
  { claims, slices }: { readonly claims: readonly KubeObject[]; readonly slices: readonly KubeObject[] },
  wanted: readonly string[] = ['v.com/x', 'v.com/y'],
) {
  const warnings: string[] = [];
  const { api, requests } = fakeClaims(claims, slices);
  const warn = (message: string): number => warnings.push(message);
  const allocation = await claimedDevices(NEVER, { api, pod, wanted: new Set(wanted), warn });
  return { devices: Object.fromEntries(allocation), requests, warnings };
}

const X_AND_Y = slice({
  devices: [
    ['vf-0', '0000:01:10.0', 'v.com/x'],
    ['vf-1', '0000:01:10.1', 'v.com/x'],
    ['vf-2', '0000:01:10.2', 'v.com/y'],
  ],
});

describe('claimedDevices', () => {
  it('has the devices of a claim in the order of their allocation, and of claims in that of the pod', async () => {
    const claims = [
      claim('web-a', [
        ['r2', 'd', 'p', 'vf-1'],
        ['r1', 'd', 'p', 'vf-2'],
      ]),
      claim('web-b', [['r', 'd', 'p', 'vf-0']]),
    ];
    const { devices, requests } = await claimed(withClaims('a', 'b'), { claims, slices: [X_AND_Y] });
    expect(devices).toEqual({ 'v.com/x': ['0000:01:10.1', '0000:01:10.0'], 'v.com/y': ['0000:01:10.2'] });
    expect(requests).toEqual(['GET demo/web-a', 'GET demo/web-b', 'LIST spec.nodeName=n1,spec.driver=d']);
    const reversed = await claimed(withClaims('b', 'a'), { claims, slices: [X_AND_Y] });
    expect(reversed.devices).toHaveProperty(['v.com/x'], ['0000:01:10.0', '0000:01:10.1']);
  });

  it('finds a claim that the pod names itself, which is in no status', async () => {
    const pod: PodObject = {
      metadata,
      spec: { nodeName: 'n1', resourceClaims: [{ name: 'net', resourceClaimName: 'shared' }] },
    };
    expect(hasClaims(pod)).toBe(true);
    const claims = [claim('shared', [['r', 'd', 'p', 'vf-0']])];
    expect((await claimed(pod, { claims, slices: [X_AND_Y] })).devices).toEqual({ 'v.com/x': ['0000:01:10.0'] });
  });

  it('asks for a claim once, and for none where none was made', async () => {
    const pod: PodObject = {
      ...withClaims('a', 'b'),
      status: { resourceClaimStatuses: [{ name: 'a', resourceClaimName: 'one' }, { name: 'b' }] },
    };
    const { requests } = await claimed(pod, { claims: [claim('one', [])], slices: [] });
    expect(requests).toEqual(['GET demo/one']);
    expect(hasClaims({ metadata, status: { resourceClaimStatuses: [{ name: 'b' }] } })).toBe(false);
  });

  it('asks each driver once, and leaves out what is not for networks', async () => {
    const claims = [
      claim('web-a', [
        ['r', 'gpu', 'p', 'gpu-0'],
        ['r', 'gpu', 'p', 'gpu-1'],
        ['r', 'd', 'p', 'vf-0'],
        ['r', 'd', 'p', 'vf-9'],
        ['r', 'd', 'other', 'vf-0'],
      ]),
    ];
    const gpus = slice({ driver: 'gpu', devices: [['gpu-0'], ['gpu-1', '0000:81:00.0']] });
    const { devices, requests, warnings } = await claimed(withClaims('a'), { claims, slices: [X_AND_Y, gpus] });
    expect(devices).toEqual({ 'v.com/x': ['0000:01:10.0'] });
    expect(requests.slice(1)).toEqual(['LIST spec.nodeName=n1,spec.driver=gpu', 'LIST spec.nodeName=n1,spec.driver=d']);
    expect(warnings.map((text) => /device (\S+)/.exec(text)?.[1])).toEqual([
      'gpu/p/gpu-0',
      'gpu/p/gpu-1',
      'd/p/vf-9',
      'd/other/vf-0',
    ]);
  });

  it('does not see slices of other nodes, nor those of a pool that was published anew since', async () => {
    const claims = [claim('web-a', [['r', 'd', 'p', 'vf-0']])];
    const slices = [
      slice({ node: 'n2', generation: 9, devices: [['vf-0', 'of another node', 'v.com/x']] }),
      slice({ generation: 2, devices: [['vf-0', 'new', 'v.com/x']] }),
      slice({ generation: 1, devices: [['vf-0', 'old', 'v.com/x']] }),
      slice({ pool: 'q', generation: 7, devices: [['vf-0', 'of another pool', 'v.com/x']] }),
    ];
    expect((await claimed(withClaims('a'), { claims, slices })).devices).toEqual({ 'v.com/x': ['new'] });
  });

  it('tells pools and devices apart whose names run together', async () => {
    const claims = [claim('web-a', [['r', 'd', 'p/q', 'vf-0']])];
    const slices = [
      slice({ pool: 'p', devices: [['q/vf-0', 'wrong', 'v.com/x']] }),
      slice({ pool: 'p/q', devices: [['vf-0', 'right', 'v.com/x']] }),
    ];
    expect((await claimed(withClaims('a'), { claims, slices })).devices).toEqual({ 'v.com/x': ['right'] });
  });

  it('takes no device at which the pod may only look', async () => {
    const claims = [
      claim('web-a', [
        ['r', 'd', 'p', 'vf-0', true],
        ['r', 'd', 'p', 'vf-1'],
      ]),
    ];
    const { devices } = await claimed(withClaims('a'), { claims, slices: [X_AND_Y] });
    expect(devices).toEqual({ 'v.com/x': ['0000:01:10.1'] });
  });

  it.each([
    ['has no status', claim('web-a', undefined)],
    ['is not allocated', { metadata: { name: 'web-a' }, status: {} }],
  ])('refuses a claim that %s', async (_, one) => {
    await expect(claimed(withClaims('a'), { claims: [one], slices: [] })).rejects.toThrow(
      'cannot use resource claim "web-a" in "demo": no devices are allocated',
    );
  });

  it('says what the API server says, and that the pod is on no node', async () => {
    await expect(claimed(withClaims('a'), { claims: [], slices: [] })).rejects.toThrow(ApiError);
    const { spec: _, ...pod } = withClaims('a');
    const claims = [claim('web-a', [['r', 'd', 'p', 'vf-0']])];
    await expect(claimed(pod, { claims, slices: [] })).rejects.toThrow('the pod is on no node');
  });

  it('does not wait for ever', async () => {
    const { api } = fakeClaims([], []);
    const slow = { ...api, get: () => new Promise<never>(() => undefined) };
    const slept: number[] = [];
    const clock: Clock = { now: () => 0, sleep: async (ms) => void slept.push(ms) };
    const claims = { api: slow, pod: withClaims('a'), wanted: new Set(['x']), warn: () => undefined };
    await expect(claimedDevices(clock, claims)).rejects.toThrow('not done within 20 s');
    expect(slept).toEqual([20_000]);
  });
});

describe('claimedDevices of extended resources', () => {
  const extended = (...mappings: readonly (readonly [resource: string, request: string])[]): PodObject => ({
    metadata,
    spec: { nodeName: 'n1' },
    status: {
      extendedResourceClaimStatus: {
        resourceClaimName: 'web-extended',
        requestMappings: mappings.map(([resourceName, requestName]) => ({
          containerName: 'app',
          resourceName,
          requestName,
        })),
      },
    },
  });
  const claims = [
    claim('web-extended', [
      ['container-0-request-0', 'd', 'p', 'vf-1'],
      ['container-0-request-1', 'd', 'p', 'vf-2'],
      ['container-0-request-2/first', 'd', 'p', 'vf-0'],
      ['container-0-request-3', 'gpu', 'p', 'gpu-0'],
    ]),
  ];

  it('has the devices of each request that is mapped', async () => {
    const pod = extended(
      ['v.com/x', 'container-0-request-0'],
      ['v.com/y', 'container-0-request-1'],
      ['v.com/x', 'container-0-request-2'],
    );
    expect((await claimed(pod, { claims, slices: [X_AND_Y] })).devices).toEqual({
      'v.com/x': ['0000:01:10.1', '0000:01:10.0'],
      'v.com/y': ['0000:01:10.2'],
    });
  });

  it('has them behind those of claims', async () => {
    const pod = { ...extended(['v.com/x', 'container-0-request-0']), spec: withClaims('a').spec ?? {} };
    const both = { ...pod, status: { ...pod.status, ...withClaims('a').status } };
    const all = [...claims, claim('web-a', [['r', 'd', 'p', 'vf-0']])];
    expect((await claimed(both, { claims: all, slices: [X_AND_Y] })).devices).toEqual({
      'v.com/x': ['0000:01:10.0', '0000:01:10.1'],
    });
  });

  it.each([
    ['v.com/x', 'container-9', 'no device is allocated to request "container-9"'],
    ['v.com/x', 'container-0-request-1', 'device d/p/vf-2 is not for it: it is of resource "v.com/y"'],
    ['v.com/x', 'container-0-request-3', 'device gpu/p/gpu-0 is not for it: it has no ID'],
  ])('refuses %s of %s', async (resource, request, why) => {
    await expect(claimed(extended([resource, request]), { claims, slices: [X_AND_Y] })).rejects.toThrow(
      `cannot use extended resource "${resource}" of the pod: ${why}`,
    );
  });

  it('asks nothing about resources that no network wants', async () => {
    const gpu = extended(['v.com/gpu', 'container-0-request-3']);
    expect(hasClaims(gpu)).toBe(true);
    expect(await claimed(gpu, { claims, slices: [] })).toEqual({ devices: {}, requests: [], warnings: [] });
  });
});
