/** What is rehearsed of clusters: a pod whose networks an annotation asks for, and what else a call asks an API server. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JsonObject } from '../lib/cni/json.ts';
import { openClient } from '../lib/kube/client.ts';
import { readKubeconfig } from '../lib/kube/kubeconfig.ts';
import { agreeableConnector, type Objects } from './agreeable-api-server.ts';
import { PARENT } from './agreeable-kernel.ts';

/** A configuration. */
export interface Rehearsed extends JsonObject {
  readonly type: string;
}

const KUBECONFIG_FILE = 'kubeconfig';
const KUBECONFIG = `apiVersion: v1
kind: Config
clusters:
- name: warm
  cluster:
    server: https://192.0.2.1:6443
users:
- name: warm
  user:
    token: "warm"
contexts:
- name: warm
  context: {cluster: warm, user: warm, namespace: kube-system}
current-context: warm
`;

/** Networks that an annotation asks for, with addresses of a cluster. */
export const byAnnotationIn = (folder: string): Rehearsed => ({
  cniVersion: '1.1.0',
  name: 'warm-by-annotation',
  type: 'multus',
  cniDir: join(folder, 'by-annotation'),
  binDir: join(folder, 'bin'),
  kubeconfig: join(folder, KUBECONFIG_FILE),
  logToStderr: false,
  delegates: [{ cniVersion: '1.1.0', name: 'warm-own', type: 'macvlan', master: PARENT, mac: '02:02:02:02:02:02' }],
});

/** The pod of the rehearsal, and its networks. */
export function objectsIn(folder: string): Objects {
  const files = { kubeconfig: join(folder, KUBECONFIG_FILE), flat: join(folder, 'whereabouts.conf') };
  writeFileSync(files.kubeconfig, KUBECONFIG);
  const kubernetes = { kubeconfig: files.kubeconfig };
  writeFileSync(files.flat, JSON.stringify({ datastore: 'kubernetes', kubernetes }));
  const names = ['rail0', 'rail1', 'rail2'];
  const network = (name: string, index: number) => ({
    kind: 'NetworkAttachmentDefinition',
    metadata: { name, namespace: 'warm' },
    spec: {
      config: JSON.stringify({
        cniVersion: '1.1.0',
        name,
        type: 'macvlan',
        master: PARENT,
        mac: '02:02:02:02:02:02',
        ipam: {
          type: 'whereabouts',
          range: `192.0.${index}.0/24`,
          data_dir: join(folder, 'cluster'),
          configuration_path: files.flat,
        },
      }),
    },
  });
  const annotations = { 'k8s.v1.cni.cncf.io/networks': names.join() };
  const pod = { kind: 'Pod', metadata: { name: 'up', namespace: 'warm', uid: 'warm', annotations } };
  const definitions = '/apis/k8s.cni.cncf.io/v1/namespaces/warm/network-attachment-definitions';
  return new Map<string, object>([
    ['/api/v1/namespaces/warm/pods/up', pod],
    ['/api/v1/namespaces/warm/pods/up/status', pod],
    ...names.map((name, index) => [`${definitions}/${name}`, network(name, index)] as const),
  ]);
}

const POOLS = {
  resource: { group: 'whereabouts.cni.cncf.io', version: 'v1alpha1', plural: 'ippools' },
  namespace: 'kube-system',
};

/** What a call asks that keeps addresses in a cluster. */
export async function askApiServer(folder: string, objects: Objects): Promise<void> {
  const options = { namespace: 'kube-system', connector: agreeableConnector(objects) };
  using client = await openClient(() => readKubeconfig(join(folder, KUBECONFIG_FILE)), options);
  const api = client.api();
  const pool = { ...POOLS, name: 'warm' };
  await api.list(POOLS);
  await api.create(POOLS, { metadata: { name: 'warm' } });
  await api.get(pool);
  await Promise.all(Array.from({ length: 16 }, () => api.create(POOLS, { metadata: { name: 'warm' } })));
  const body = [{ op: 'test', path: '/spec/allocations/1', value: null }] as const;
  await api.patch(pool, { type: 'json', body });
  await api.delete(pool, { uid: 'warm' });
}
