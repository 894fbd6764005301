/** What people, and operators, apply for the Go device plugins: what it says of containers, with another image. */

const hostPath = (name: string, path: string, type = 'Directory') => ({ name, hostPath: { path, type } });
const mount = (name: string, mountPath: string, more: object = {}) => ({ name, mountPath, ...more });

const KUBELET = '/var/lib/kubelet';

interface Parts {
  readonly name: string;
  readonly node: string;
  readonly image: string;
  readonly container: object;
  readonly volumes: readonly object[];
}

const daemonSet = ({ name, node, image, container, volumes }: Parts) => ({
  apiVersion: 'apps/v1',
  kind: 'DaemonSet',
  metadata: { name, namespace: 'kube-system' },
  spec: {
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: {
        hostNetwork: true,
        nodeSelector: { 'kubernetes.io/hostname': node },
        automountServiceAccountToken: false,
        terminationGracePeriodSeconds: 10,
        containers: [{ name: 'main', image, imagePullPolicy: 'IfNotPresent', ...container }],
        volumes,
      },
    },
  },
});

const configMap = (name: string, data: Readonly<Record<string, object>>) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'kube-system' },
  data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, JSON.stringify(value)])),
});

export interface Wanted {
  readonly node: string;
  readonly image: string;
  readonly config: object;
}

/** As the SR-IOV operator does: each node has a configuration, and nothing can be written where it is not mounted. */
export const sriovOfOperator = ({ node, image, config }: Wanted): readonly object[] => [
  configMap('device-plugin-config', { [node]: config }),
  daemonSet({
    name: 'sriov-device-plugin',
    node,
    image,
    container: {
      args: ['--log-level=10', '--resource-prefix=example.com', '--config-file=/etc/pcidp/$(NODE_NAME)'],
      env: [{ name: 'NODE_NAME', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } }],
      securityContext: { privileged: true, readOnlyRootFilesystem: true },
      volumeMounts: [
        mount('devicesock', `${KUBELET}/device-plugins`),
        mount('plugins-registry', `${KUBELET}/plugins_registry`),
        mount('config-volume', '/etc/pcidp/', { readOnly: true }),
        mount('device-info', '/var/run/k8s.cni.cncf.io/devinfo/dp'),
      ],
    },
    volumes: [
      hostPath('devicesock', `${KUBELET}/device-plugins`),
      hostPath('plugins-registry', `${KUBELET}/plugins_registry`),
      hostPath('device-info', '/var/run/k8s.cni.cncf.io/devinfo/dp', 'DirectoryOrCreate'),
      { name: 'config-volume', configMap: { name: 'device-plugin-config' } },
    ],
  }),
];

/** As that of the RDMA shared device plugin. */
export const sharedRdma = ({ node, image, config }: Wanted): readonly object[] => [
  configMap('rdma-devices', { 'config.json': config }),
  daemonSet({
    name: 'rdma-shared-dp-ds',
    node,
    image,
    container: {
      securityContext: { privileged: true },
      volumeMounts: [
        mount('device-plugin', `${KUBELET}/device-plugins`),
        mount('plugins-registry', `${KUBELET}/plugins_registry`),
        mount('config', '/k8s-rdma-shared-dev-plugin'),
        mount('devs', '/dev/'),
      ],
    },
    volumes: [
      hostPath('device-plugin', `${KUBELET}/device-plugins`),
      hostPath('plugins-registry', `${KUBELET}/plugins_registry`),
      { name: 'config', configMap: { name: 'rdma-devices', items: [{ key: 'config.json', path: 'config.json' }] } },
      hostPath('devs', '/dev/'),
    ],
  }),
];
