import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../../../conformance/cluster/cluster.ts';
import { apply } from '../../../conformance/cluster/manifests.ts';
import {
  createPod,
  createServiceAccount,
  deletePod,
  serviceAccountToken,
} from '../../../conformance/cluster/objects.ts';
import { ApiError, type CollectionPath, type KubeApi, type KubeObject } from '../../../lib/kube/api.ts';
import { type KubeClient, openClient } from '../../../lib/kube/client.ts';
import { readKubeconfig } from '../../../lib/kube/kubeconfig.ts';
import { clockOf } from '../../../lib/sys/clock.ts';
import { addedInterface, noNetworkFound, PodEvents } from './events.ts';
import { ANNOTATIONS, EVENTS, PODS, type PodObject } from './objects.ts';
import { reportStatus } from './report.ts';

let cluster: Cluster;
let admin: KubeClient;
let old: KubeClient;

const open = (kubeconfig: string): Promise<KubeClient> =>
  openClient(() => readKubeconfig(kubeconfig), { namespace: 'kube-system', timeoutMs: 30_000 });

/** What the role of the Go plugin grants: no `patch` of pods. */
const OLD_ROLE = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRole',
  metadata: { name: 'multus' },
  rules: [
    { apiGroups: [''], resources: ['pods', 'pods/status'], verbs: ['get', 'list', 'update', 'watch'] },
    { apiGroups: ['', 'events.k8s.io'], resources: ['events'], verbs: ['create', 'patch', 'update'] },
  ],
};
const OLD_BINDING = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRoleBinding',
  metadata: { name: 'multus' },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'multus' },
  subjects: [{ kind: 'ServiceAccount', name: 'multus', namespace: 'kube-system' }],
};

beforeAll(async () => {
  cluster = await startCluster();
  await createServiceAccount(cluster, 'multus');
  await apply(cluster, OLD_ROLE);
  await apply(cluster, OLD_BINDING);
  const token = await serviceAccountToken(cluster, 'multus');
  admin = await open(cluster.kubeconfig('admin'));
  old = await open(cluster.kubeconfig('old', { token }));
});

afterAll(async () => {
  admin?.[Symbol.dispose]();
  old?.[Symbol.dispose]();
  await cluster?.[Symbol.asyncDispose]();
});

const podAt = (name: string) => ({ resource: PODS, namespace: 'default', name });
const TEXT = '[{\n    "name": "a\\u003cb"\n}]';

/** An API that counts what it is asked. */
function counting(
  api: KubeApi,
  asked: string[],
  before: (verb: string) => Promise<void> = async () => undefined,
): KubeApi {
  return new Proxy(api, {
    get: (target, verb: keyof KubeApi) => {
      const own = target[verb];
      return typeof own !== 'function'
        ? own
        : async (...args: readonly unknown[]): Promise<unknown> => {
            asked.push(verb);
            await before(verb);
            return (own as (...all: readonly unknown[]) => unknown)(...args);
          };
    },
  });
}

const report = (api: KubeApi, name: string, uid: string): Promise<string> =>
  reportStatus(api, { namespace: 'default', name, uid }, TEXT, clockOf());

describe.each(['patches', 'replaces'])('a role that %s', (how) => {
  const api = (): KubeApi => (how === 'patches' ? admin : old).api();
  const requests = how === 'patches' ? ['patch'] : ['patch', 'get', 'replace'];

  it('writes the status of a pod and nothing else', async () => {
    const name = `written-${how}`;
    const status = { phase: 'Running', podIP: '198.51.100.7' };
    const uid = await createPod(cluster, { name, annotations: { kept: 'yes' }, labels: { a: 'b' }, status });
    const asked: string[] = [];
    expect(await report(counting(api(), asked), name, uid)).toBe('written');
    expect(asked).toEqual(requests);
    const pod = await admin.api().get<PodObject & { readonly status: object }>(podAt(name));
    expect(pod.metadata).toMatchObject({
      annotations: { kept: 'yes', [ANNOTATIONS.status]: TEXT },
      labels: { a: 'b' },
    });
    expect(pod.status).toMatchObject(status);
  });

  it('writes nothing into another pod of that name', { tags: ['multus/status-patch'] }, async () => {
    const name = `another-${how}`;
    const uid = await createPod(cluster, { name });
    await deletePod(cluster, { name });
    const other = await createPod(cluster, { name });
    await expect(report(api(), name, uid)).rejects.toThrow(
      `error setting the networks status: expected pod UID "${uid}" but got "${other}" from Kube API`,
    );
    expect((await admin.api().get<PodObject>(podAt(name))).metadata.annotations).toBeUndefined();
  });

  it('says so when the pod is gone', async () => {
    const name = `gone-${how}`;
    const uid = await createPod(cluster, { name });
    await deletePod(cluster, { name });
    expect(await report(api(), name, uid)).toBe('gone');
  });

  it('writes while others write too', async () => {
    const name = `busy-${how}`;
    const uid = await createPod(cluster, { name });
    const asked: string[] = [];
    let others = 0;
    const busy = counting(api(), asked, async (verb) => {
      if (verb === 'replace' && ++others <= 2) {
        const body = { metadata: { labels: { change: String(others) } } };
        await admin.api().patch(podAt(name), { type: 'merge', body });
      }
    });
    expect(await report(busy, name, uid)).toBe('written');
    expect(asked).toEqual(how === 'patches' ? requests : [...requests, 'get', 'replace', 'get', 'replace']);
    const { annotations, labels } = (await admin.api().get<PodObject>(podAt(name))).metadata;
    expect(annotations).toEqual({ [ANNOTATIONS.status]: TEXT });
    expect(labels).toEqual(how === 'patches' ? undefined : { change: '2' });
  });
});

describe('a whole object', () => {
  it('replaces another of its version only', async () => {
    await createPod(cluster, { name: 'versions' });
    const api = admin.api();
    const first = await api.get<PodObject>(podAt('versions'));
    await api.replace(podAt('versions'), { ...first, metadata: { ...first.metadata, labels: { a: '1' } } });
    await expect(api.replace(podAt('versions'), first)).rejects.toMatchObject({ status: 409, reason: 'Conflict' });
    await expect(api.replace(podAt('none'), { metadata: { name: 'none' } })).rejects.toBeInstanceOf(ApiError);
  });
});

interface StoredEvent extends KubeObject {
  readonly message: string;
  readonly count: number;
  readonly source: object;
}

describe('events about a pod', () => {
  const at: CollectionPath = { resource: EVENTS, namespace: 'default' };
  const eventsOf = async (name: string): Promise<readonly StoredEvent[]> =>
    (await admin.api().list<StoredEvent>(at, { fieldSelector: `involvedObject.name=${name}` })).toSorted((a, b) =>
      a.metadata.name < b.metadata.name ? -1 : 1,
    );

  it('are taken by the server, from the role of the Go plugin too', async () => {
    const lines: string[] = [];
    const uid = await createPod(cluster, { name: 'told' });
    const events = new PodEvents({ namespace: 'default', name: 'told', uid }, { log: (line) => lines.push(line) });
    const ips = [{ address: '10.9.0.5/24' }, { address: 'fd00::5/64' }];
    events.record(noNetworkFound('lan', 'demo', 'x'.repeat(5000)));
    events.record(addedInterface('eth0', { interfaces: [], ips }, 'cl'));
    for (let index = 1; index < 64; index++) {
      events.record(
        addedInterface(`net${index}`, { interfaces: [], ips }, `a-long-namespace/a-network-of-rail-${index}`),
      );
    }
    await events.flush(old.api());
    expect(lines).toEqual([]);
    const stored = await eventsOf('told');
    expect(stored).toHaveLength(11);
    expect(stored.filter(({ source }) => JSON.stringify(source) !== '{"component":"multus"}')).toEqual([]);
    const texts = stored.map(({ message }) => message);
    expect(texts).toContain('Add eth0 [10.9.0.5/24 fd00::5/64] from cl');
    expect(texts.find((text) => text.startsWith('(combined'))).toContain('Add net63 [10.9.0.5/24 fd00::5/64]');
  });
});
