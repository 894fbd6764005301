import type { AgentService } from '../../lib/cni/service.ts';

export const KUBECONFIG = 'whereabouts-kubeconfig';
export const NODE = 'whereabouts-node';

/** The loop of a node: what its deleted pods had in the pools of a cluster is freed without waiting for a controller. */
export const podsService: AgentService = {
  options: [
    {
      name: KUBECONFIG,
      value: 'FILE',
      about: "free what this node's deleted pods had in the pools of the cluster that FILE leads to",
    },
    {
      name: NODE,
      value: 'NAME',
      about: 'this node in that cluster (default: NODENAME of the environment, else the name of the host)',
    },
  ],
  open: async (host) =>
    host.options[KUBECONFIG] === undefined && host.options[NODE] === undefined
      ? undefined
      : (await import('./controller/own-pods.ts')).openOwnPods(host),
};
