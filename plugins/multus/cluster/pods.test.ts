import { describe, expect, it } from 'vitest';
import { ApiError, type KubeApi } from '../../../lib/kube/api.ts';
import type { PodObject } from './objects.ts';
import { findPod } from './pods.ts';

const UID = '4f0c9f3e-7c0f-4d33-9a0e-1d6a1f7c2b11';
const STATIC = '0123456789abcdef0123456789abcdef';
const pod = (uid = UID) => ({ namespace: 'demo', name: 'web', infraContainerId: 'c1', uid });
const object = (uid: string, annotations = {}): PodObject => ({
  metadata: { name: 'web', namespace: 'demo', uid, annotations },
});
const missing = new ApiError('cannot get pods: pods "web" not found', { status: 404 });

/** A server that answers once with each, and with the last for ever. */
function server(...answers: readonly (PodObject | Error)[]) {
  let asked = 0;
  const get = async (): Promise<PodObject> => {
    const answer = answers[Math.min(asked++, answers.length - 1)];
    if (answer instanceof Error || answer === undefined) {
      throw answer;
    }
    return answer;
  };
  return { api: { get } as unknown as KubeApi, asked: () => asked };
}

/** Time passes while somebody waits. */
function clock() {
  let time = 0;
  const sleep = async (ms: number): Promise<void> => {
    time += ms;
  };
  return { now: () => time, sleep };
}

describe('findPod', () => {
  it('finds the pod that is meant', async () => {
    expect(await findPod(server(object(UID)).api, pod(), clock())).toMatchObject({ metadata: { uid: UID } });
    expect(await findPod(server(object(UID)).api, pod(''), clock())).toMatchObject({ metadata: { uid: UID } });
  });

  it('tells a pod that is gone from one of another UID', async () => {
    const { api, asked } = server(missing);
    expect(await findPod(api, pod(), clock())).toBeUndefined();
    expect(asked()).toBe(1);
    await expect(findPod(server(object('u2')).api, pod(), clock())).rejects.toThrow(
      `expected pod UID "${UID}" but got "u2" from Kube API`,
    );
  });

  it('takes the object of a static pod, which has another UID', async () => {
    const mirror = object('u2', { 'kubernetes.io/config.source': 'file' });
    expect(await findPod(server(mirror).api, pod(STATIC), clock())).toBe(mirror);
    await expect(
      findPod(server(object('u2', { 'kubernetes.io/config.source': 'api' })).api, pod(), clock()),
    ).rejects.toThrow('expected pod UID');
  });

  it('waits for the object of a static pod, but not for ever', async () => {
    const mirror = object('u2', { 'kubernetes.io/config.source': 'file' });
    expect(await findPod(server(missing, missing, mirror).api, pod(STATIC), clock())).toBe(mirror);
    await expect(findPod(server(missing).api, pod(STATIC), clock())).rejects.toMatchObject({ code: 11 });
  });

  it('says why it does not know', async () => {
    const away = new ApiError('cannot get pods: no answer', {});
    await expect(findPod(server(away).api, pod(), clock())).rejects.toMatchObject({
      code: 11,
      message: 'error waiting for pod: cannot get pods: no answer',
    });
    const forbidden = new ApiError('cannot get pods: forbidden', { status: 403 });
    await expect(findPod(server(forbidden).api, pod(), clock())).rejects.toMatchObject({ code: 999 });
  });
});
