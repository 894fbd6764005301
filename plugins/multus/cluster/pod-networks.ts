import type { Delegate } from '../delegates.ts';
import type { Network } from '../network.ts';
import { clusterNetworks, type Loading, prefixRejection, withChain } from '../networks.ts';
import { annotatedNetworks } from './annotated.ts';
import type { Cluster } from './cluster.ts';
import type { PodObject } from './objects.ts';

/**
 * The networks of a pod: those of the configuration, and those that its annotations ask for.
 *
 * @param configured undefined when a cluster network takes the place of the delegates
 * @throws CniError
 */
export const podNetworks = (
  { call, log, prefix }: Loading,
  configured: readonly Network[] | undefined,
  cluster: Cluster,
  pod: PodObject,
): Promise<readonly Delegate[]> =>
  prefixRejection(prefix, async () => {
    const own = configured ?? (await clusterNetworks({ call }, pod.metadata.namespace ?? '', cluster));
    const { first, more } = await prefixRejection('error loading k8s delegates k8s args', () =>
      annotatedNetworks(pod, call.conf, cluster.definitions),
    ); // upstream's words
    const networks = [...(first === undefined ? own : [first, ...own.slice(1)]), ...more];
    return withChain(call, planned(networks), log);
  });

const planned = (networks: readonly Network[]): readonly Delegate[] =>
  networks.map((network) => network.plan(undefined));
