/** What controls and schedules: the rest of a control plane. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Cluster, kubeconfigText } from '../cluster/cluster.ts';
import { type Elsewhere, type ServerProcess, startProcess } from '../cluster/server-process.ts';

export interface ControllersWanted {
  /** folder of the programs */
  readonly kubernetes: string;
  readonly cluster: Cluster;
  readonly elsewhere: Elsewhere;
  /** how long nodes may be silent */
  readonly graceSeconds: number;
}

/** Starts the controllers and the scheduler beside the API server, each with all rights. */
export function startControllers(wanted: ControllersWanted): readonly ServerProcess[] {
  const { kubernetes, cluster, elsewhere, graceSeconds } = wanted;
  const { folder, url, token } = cluster;
  const kubeconfig = join(folder, 'controllers.kubeconfig');
  writeFileSync(kubeconfig, kubeconfigText(url, join(folder, 'apiserver.crt'), { token }), { mode: 0o600 });
  const common = [`--kubeconfig=${kubeconfig}`, '--leader-elect=false', '--bind-address=127.0.0.1', '--cert-dir=.'];
  const start = (name: string, ...flags: readonly string[]): ServerProcess =>
    startProcess(join(kubernetes, name), [...common, ...flags], folder, elsewhere);
  return [
    start(
      'kube-controller-manager',
      '--service-account-private-key-file=service-account.key',
      '--root-ca-file=apiserver.crt',
      `--node-monitor-grace-period=${graceSeconds}s`,
    ),
    start('kube-scheduler'),
  ];
}
