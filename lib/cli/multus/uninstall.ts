import type { Scope } from '../../cni/scope.ts';
import { readInCluster } from '../../kube/in-cluster.ts';
import type { Program } from '../program.ts';
import { deleteDaemonSet } from './daemonset.ts';
import { objectName } from './options.ts';

/** `braid uninstall --daemonset`, for a pod of a cluster: see `braid install --daemonset`. */
export async function uninstallEverywhere(
  program: Program,
  name: string,
  scope: Scope,
  print: (line: string) => void,
): Promise<number> {
  const wasThere = await deleteDaemonSet(() => readInCluster(program.env), objectName('daemonset', name), scope);
  print(
    wasThere
      ? `done: DaemonSet "${name}" is gone, and its nodes are restored`
      : `nothing to do: no DaemonSet "${name}"`,
  );
  return 0;
}
