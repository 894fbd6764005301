import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CniError } from '../cni/errors.ts';
import type { Env } from '../sys/execute.ts';
import type { Access } from './access.ts';
import { readText, readToken } from './kubeconfig.ts';

/** Where Kubernetes puts the credentials of a pod. */
export const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/**
 * The access of a pod to the cluster that it runs in.
 *
 * @throws CniError when the program does not run in a pod, or its service account is not mounted
 */
export async function readInCluster(env: Env, folder = SERVICE_ACCOUNT): Promise<Access> {
  const { KUBERNETES_SERVICE_HOST: host = '', KUBERNETES_SERVICE_PORT: port = '' } = env;
  if (host === '' || port === '') {
    throw new CniError(
      'badEnv',
      'cannot reach the cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set, so this is no pod, and there is no kubeconfig',
    );
  }
  const ca = join(folder, 'ca.crt');
  const namespace = join(folder, 'namespace');
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    namespace: existsSync(namespace) ? readText(namespace).trim() : undefined,
    tls: {
      ca: existsSync(ca) ? readText(ca) : undefined,
      certificate: undefined,
      key: undefined,
      serverName: undefined,
      isUnverified: false,
    },
    token: readToken(join(folder, 'token')),
    origin: `service account in "${folder}"`,
  };
}
