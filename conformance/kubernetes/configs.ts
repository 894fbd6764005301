/** What the daemons of a node are told. */
import { configOf } from '../containerd/config.ts';

/** Folders of programs on a node. */
export const KUBERNETES = '/opt/kubernetes';
export const RUNTIME = '/opt/runtime';

export const CNI_BIN = '/opt/cni/bin';
export const CNI_CONF = '/etc/cni/net.d';
/** Of static pods. */
export const MANIFESTS = '/etc/kubernetes/manifests';
export const SOCKET = '/run/containerd/containerd.sock';

/** @param listens HOST:PORT that the CRI is served at too */
export const containerdConfig = (listens?: string): string =>
  configOf({
    ...(listens === undefined ? {} : { listens }),
    dir: '/run/containerd',
    root: '/var/lib/containerd',
    programs: RUNTIME,
    bin: CNI_BIN,
    confDir: CNI_CONF,
  });

/** @param cgroup of the node, in all hierarchies */
export const kubeletConfig = (cgroup: string) => ({
  apiVersion: 'kubelet.config.k8s.io/v1beta1',
  kind: 'KubeletConfiguration',
  authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
  authorization: { mode: 'AlwaysAllow' },
  containerRuntimeEndpoint: `unix://${SOCKET}`,
  cgroupDriver: 'cgroupfs',
  cgroupRoot: cgroup,
  failCgroupV1: false,
  failSwapOn: false,
  maxOpenFiles: 100_000,
  oomScoreAdj: 0, // a lower one takes CAP_SYS_RESOURCE
  resolvConf: '',
  staticPodPath: MANIFESTS,
  makeIPTablesUtilChains: false,
  volumePluginDir: '/var/lib/kubelet/plugins-exec',
  // the disk and the memory are those of the machine, on which other tests run
  evictionHard: { 'memory.available': '50Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
  imageGCHighThresholdPercent: 100,
  maxPods: 250,
});
