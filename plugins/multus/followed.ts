/** What an agent keeps of a cluster, so that calls need not ask. */
import type { ObjectMeta } from '../../lib/kube/api.ts';
import type { Reached } from '../../lib/kube/lazy-client.ts';
import type { Selection } from '../../lib/kube/watch.ts';
import type { Holding, Slot, Telling } from '../../lib/sys/shared.ts';
import { FollowedObjects, serverOf } from './cluster/followed-objects.ts';
import { NADS, type NadObject, PODS, type PodObject } from './cluster/objects.ts';
import type { Pod } from './runtime-args.ts';

/** Definitions of networks. */
export class FollowedDefinitions implements Disposable, Telling {
  private readonly followed = new FollowedObjects<NadObject>('definitions', {
    path: { resource: NADS, namespace: undefined },
    keep: ({ metadata, spec }) => ({ metadata: kept(metadata), ...(spec && { spec }) }),
  });

  /** @returns undefined for one that must be asked for: what is there is not known, or out of date, or there is none */
  get(reached: Reached, namespace: string, name: string): NadObject | undefined {
    return this.followed.counted(this.followed.lookUp(reached, `${namespace}/${name}`));
  }

  holdings(): readonly Holding[] {
    return this.followed.holdings();
  }

  [Symbol.dispose](): void {
    this.followed[Symbol.dispose]();
  }
}

/** Pods of this node. Which node that is, the first pod tells that was asked for. */
export class FollowedPods implements Disposable, Telling {
  private readonly nodes = new Map<string, string>();
  private readonly followed = new FollowedObjects<PodObject>('pods', {
    path: { resource: PODS, namespace: undefined },
    keep: ({ metadata, spec, status }) => ({
      metadata: kept(metadata),
      ...(spec && { spec: keys(spec, ['nodeName', 'resourceClaims']) }),
      ...(status && { status: keys(status, ['resourceClaimStatuses', 'extendedResourceClaimStatus']) }),
    }),
  });

  /**
   * @returns undefined for one that must be asked for: what is there is not known, or out of date, or another pod of that
   * name, or nobody says which is meant
   */
  get(reached: Reached, { namespace, name, uid }: Pod): PodObject | undefined {
    const node = this.nodes.get(serverOf(reached));
    const found = node === undefined ? undefined : this.followed.lookUp(reached, `${namespace}/${name}`, podsOf(node));
    return this.followed.counted(uid !== '' && found?.metadata.uid === uid ? found : undefined);
  }

  /** A pod that was asked for: from now on those of its node are followed. */
  learn(reached: Reached, { spec: { nodeName = '' } = {} }: PodObject): void {
    const server = serverOf(reached);
    if (nodeName !== '' && !this.nodes.has(server)) {
      this.nodes.set(server, nodeName);
      this.followed.lookUp(reached, '', podsOf(nodeName));
    }
  }

  holdings(): readonly Holding[] {
    return this.followed.holdings();
  }

  [Symbol.dispose](): void {
    this.followed[Symbol.dispose]();
  }
}

const podsOf = (node: string): Selection => ({ fieldSelector: `spec.nodeName=${node}` });

/** What `kubectl apply` leaves there may be as long as the object, and who wrote what is longer. */
const kept = ({
  annotations,
  managedFields: _,
  ...metadata
}: ObjectMeta & { managedFields?: unknown }): ObjectMeta => ({
  ...metadata,
  ...(annotations && {
    annotations: Object.fromEntries(
      Object.entries(annotations).filter(([key]) => key !== 'kubectl.kubernetes.io/last-applied-configuration'),
    ),
  }),
});

const keys = <T extends object, K extends keyof T>(object: T, names: readonly K[]): Pick<T, K> =>
  Object.fromEntries(names.flatMap((name) => (object[name] === undefined ? [] : [[name, object[name]]]))) as Pick<T, K>;

export const FOLLOWED_DEFINITIONS: Slot<FollowedDefinitions> = { make: () => new FollowedDefinitions() };
export const FOLLOWED_PODS: Slot<FollowedPods> = { make: () => new FollowedPods() };
