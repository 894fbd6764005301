import { describe, expect, it } from 'vitest';
import { ApiError, type KubeApi } from '../../../lib/kube/api.ts';
import { ANNOTATIONS, type PodObject } from './objects.ts';
import { reportStatus } from './report.ts';

const POD = { namespace: 'demo', name: 'web', uid: 'u1' };
const TEXT = '[{\n    "name": "lan"\n}]';

const refusal = (status: number, reason: string): ApiError => new ApiError(reason, { status, reason });
const FORBIDDEN = refusal(403, 'Forbidden');
const CONFLICT = refusal(409, 'Conflict');
const INVALID = refusal(422, 'Invalid');

interface Kube extends Pick<KubeApi, 'get' | 'patch' | 'replace'> {
  readonly said: unknown[];
}

/** A server that knows one pod and refuses what it is told, one after the other. */
function kubeWith({
  uid = POD.uid,
  patch = [],
  put = [],
}: {
  uid?: string;
  patch?: ApiError[];
  put?: ApiError[];
}): Kube {
  const said: unknown[] = [];
  const pod = {
    metadata: { name: 'web', uid, resourceVersion: '7', annotations: { kept: 'yes' } },
    spec: { nodeName: 'n1' },
    status: { phase: 'Pending' },
  };
  const answer = async (refusals: ApiError[], request: unknown): Promise<never> => {
    said.push(request);
    const error = refusals.shift();
    if (error !== undefined) {
      throw error;
    }
    return {} as never;
  };
  return {
    said,
    get: (path) => {
      said.push(['GET', path.name]);
      return Promise.resolve(pod as never);
    },
    patch: (path, { type, body }) => answer(patch, ['PATCH', path.subresource, type, body]),
    replace: (path, object) => answer(put, ['PUT', path.subresource, object]),
  };
}

async function report(kube: Kube, pauses: number[] = []): Promise<string> {
  const sleep = async (ms: number): Promise<void> => {
    pauses.push(ms);
  };
  try {
    return await reportStatus(kube as unknown as KubeApi, POD, TEXT, { sleep });
  } catch (error) {
    return (error as Error).message;
  }
}

const verbs = ({ said }: Kube): readonly string[] => said.map((request) => (request as string[])[0] ?? '');

describe('the status of a pod', () => {
  it('is written with one patch, which is for that pod alone', async () => {
    const kube = kubeWith({});
    expect(await report(kube)).toBe('written');
    const body = { metadata: { uid: 'u1', annotations: { [ANNOTATIONS.status]: TEXT } } };
    expect(kube.said).toEqual([['PATCH', 'status', 'merge', body]]);
  });

  it('is replaced where nobody may patch it', async () => {
    const kube = kubeWith({ patch: [FORBIDDEN] });
    expect(await report(kube)).toBe('written');
    expect(verbs(kube)).toEqual(['PATCH', 'GET', 'PUT']);
    const [, subresource, object] = kube.said[2] as [string, string, PodObject];
    expect(subresource).toBe('status');
    expect(object).toEqual({
      metadata: {
        name: 'web',
        uid: 'u1',
        resourceVersion: '7',
        annotations: { kept: 'yes', [ANNOTATIONS.status]: TEXT },
      },
      spec: { nodeName: 'n1' },
      status: { phase: 'Pending' },
    });
  });

  it('is written again after a conflict, up to five times', async () => {
    const pauses: number[] = [];
    expect(await report(kubeWith({ patch: [CONFLICT, CONFLICT, CONFLICT, CONFLICT] }), pauses)).toBe('written');
    expect(pauses).toEqual([10, 10, 10, 10]);
    const kube = kubeWith({ patch: new Array<ApiError>(9).fill(CONFLICT) });
    expect(await report(kube)).toBe('error setting the networks status: Conflict');
    expect(verbs(kube)).toEqual(new Array(5).fill('PATCH'));
    const old = kubeWith({ patch: [FORBIDDEN], put: [CONFLICT, CONFLICT] });
    expect(await report(old)).toBe('written');
    expect(verbs(old)).toEqual(['PATCH', 'GET', 'PUT', 'GET', 'PUT', 'GET', 'PUT']);
  });

  it('is written once more when nobody knows what became of the first patch', async () => {
    const lost = new ApiError('lost', { isOutcomeUnknown: true });
    expect(await report(kubeWith({ patch: [lost] }))).toBe('written');
    expect(await report(kubeWith({ patch: [lost, lost] }))).toBe('error setting the networks status: lost');
  });

  it('is not written for another pod of that name', async () => {
    const words = 'error setting the networks status: expected pod UID "u1" but got "u2" from Kube API';
    expect(await report(kubeWith({ uid: 'u2', patch: [INVALID] }))).toBe(words);
    const old = kubeWith({ uid: 'u2', patch: [FORBIDDEN] });
    expect(await report(old)).toBe(words);
    expect(verbs(old)).toEqual(['PATCH', 'GET']);
  });

  it('is not missed where the pod is gone', async () => {
    expect(await report(kubeWith({ patch: [refusal(404, 'NotFound')] }))).toBe('gone');
    expect(await report(kubeWith({ patch: [FORBIDDEN], put: [refusal(404, 'NotFound')] }))).toBe('gone');
  });

  it('is told of when it cannot be written', async () => {
    expect(await report(kubeWith({ patch: [INVALID] }))).toBe('error setting the networks status: Invalid');
    expect(await report(kubeWith({ patch: [FORBIDDEN], put: [FORBIDDEN] }))).toBe(
      'error setting the networks status: Forbidden',
    );
  });
});
