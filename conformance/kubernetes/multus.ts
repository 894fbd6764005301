/** multus as it is installed on nodes, and networks that pods ask for by annotation. */
import { apply, applyNads } from '../cluster/manifests.ts';
import { expectSuccess } from '../cluster/request.ts';
import type { Kubernetes } from './kubernetes.ts';
import { POD_NETWORK } from './networks.ts';

const KUBECONFIG = '/etc/cni/net.d/multus.d/multus.kubeconfig';

const ACCOUNT = { name: 'multus', namespace: 'kube-system' };
const RBAC = 'rbac.authorization.k8s.io/v1';

/** The rights that installations of multus have, with that to change a pod's status in one request. */
const RIGHTS = [
  { apiVersion: 'v1', kind: 'ServiceAccount', metadata: ACCOUNT },
  {
    apiVersion: RBAC,
    kind: 'ClusterRole',
    metadata: { name: 'multus' },
    rules: [
      { apiGroups: ['k8s.cni.cncf.io'], resources: ['*'], verbs: ['*'] },
      { apiGroups: [''], resources: ['pods', 'pods/status'], verbs: ['get', 'list', 'update', 'patch', 'watch'] },
      {
        apiGroups: ['resource.k8s.io'],
        resources: ['resourceclaims', 'resourceclaims/status', 'resourceslices'],
        verbs: ['get', 'list'],
      },
      { apiGroups: ['', 'events.k8s.io'], resources: ['events'], verbs: ['create', 'patch', 'update'] },
    ],
  },
  {
    apiVersion: RBAC,
    kind: 'ClusterRoleBinding',
    metadata: { name: 'multus' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'multus' },
    subjects: [{ kind: 'ServiceAccount', ...ACCOUNT }],
  },
] as const;

/** As its installer writes it: the first configuration of the node, wrapped, and a kubeconfig. */
const multusConf = (cniVersion: string): object => ({
  cniVersion,
  name: 'multus-cni-network',
  plugins: [
    {
      type: 'multus',
      capabilities: { portMappings: true },
      logLevel: 'error',
      kubeconfig: KUBECONFIG,
      delegates: [{ cniVersion, name: POD_NETWORK['name'], plugins: [withoutName(POD_NETWORK)] }],
    },
  ],
});

const withoutName = ({ name: _, ...plugin }: Readonly<Record<string, unknown>>): object => plugin;

/** Puts multus on all nodes: what its installer and its manifests do. */
export async function installMultus(kubernetes: Kubernetes): Promise<void> {
  await applyNads(kubernetes.cluster);
  for (const manifest of RIGHTS) {
    await apply(kubernetes.cluster, manifest);
  }
  await kubernetes.giveKubeconfig(KUBECONFIG, ACCOUNT.name);
  await kubernetes.configure(() => multusConf(kubernetes.cniVersion));
}

/** A NetworkAttachmentDefinition in the namespace `default`. @param resource of its devices */
export async function applyNetwork(
  { cluster }: Kubernetes,
  name: string,
  config: object,
  resource?: string,
): Promise<void> {
  const annotations = resource === undefined ? {} : { 'k8s.v1.cni.cncf.io/resourceName': resource };
  const kind = 'network-attachment-definitions';
  await expectSuccess(
    cluster.send(`/apis/k8s.cni.cncf.io/v1/namespaces/default/${kind}/${name}?fieldManager=conformance&force=true`, {
      method: 'PATCH',
      body: {
        apiVersion: 'k8s.cni.cncf.io/v1',
        kind: 'NetworkAttachmentDefinition',
        metadata: { name, annotations },
        spec: { config: JSON.stringify(config) },
      },
      contentType: 'application/apply-patch+yaml',
    }),
  );
}
