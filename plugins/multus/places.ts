import type { Reached } from '../../lib/kube/lazy-client.ts';
import type { Env } from '../../lib/sys/execute.ts';
import type { CommonConf, MultusConf } from './config.ts';

export const cniDirOf = ({ cniDir }: Pick<CommonConf, 'cniDir'>): string => cniDir || '/var/lib/cni/multus';

/** libcni's, of whichever runtime. */
export const RUNTIME_CACHE = '/var/lib/cni';

export const binDirOf = ({ binDir }: Pick<CommonConf, 'binDir'>): string => binDir || '/opt/cni/bin';

export const confDirOf = ({ confDir }: Pick<MultusConf, 'confDir'>): string => confDir || '/etc/cni/multus/net.d';

export const multusNamespaceOf = ({ multusNamespace }: Pick<MultusConf, 'multusNamespace'>): string =>
  multusNamespace || 'kube-system';

/** The API server: that of the kubeconfig, in a pod that of its cluster; undefined outside Kubernetes. */
export function reachedBy({ kubeconfig }: Pick<MultusConf, 'kubeconfig'>, env: Env): Reached | undefined {
  if (kubeconfig !== '') {
    return { kubeconfig };
  }
  const isInPod = (env['KUBERNETES_SERVICE_HOST'] ?? '') !== '' && (env['KUBERNETES_SERVICE_PORT'] ?? '') !== '';
  return isInPod ? { kubeconfig: '', inCluster: env } : undefined;
}
