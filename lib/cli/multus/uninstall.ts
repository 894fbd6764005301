import type { Scope } from '../../cni/scope.ts';
import { readInCluster } from '../../kube/in-cluster.ts';
import type { Program } from '../program.ts';
import { objectName } from './options.ts';
import { deleteWorkload } from './workloads.ts';

/** `braid uninstall --daemonset`, for a pod of a cluster: see `braid install --daemonset`. */
export async function uninstallEverywhere(
  program: Program,
  { daemonset, deployment }: { readonly daemonset: string; readonly deployment: string | undefined },
  scope: Scope,
  print: (line: string) => void,
): Promise<number> {
  const access = () => readInCluster(program.env);
  if (deployment !== undefined) {
    const wasThere = await deleteWorkload(access, 'deployments', objectName('deployment', deployment), scope);
    print(wasThere ? `Deployment "${deployment}" is gone` : `no Deployment "${deployment}"`);
  }
  const wasThere = await deleteWorkload(access, 'daemonsets', objectName('daemonset', daemonset), scope);
  print(
    wasThere
      ? `done: DaemonSet "${daemonset}" is gone, and its nodes are restored`
      : `nothing to do: no DaemonSet "${daemonset}"`,
  );
  return 0;
}
