/** Objects of the Kubernetes API that multus reads and writes, as far as it does. */
import type { KubeObject, Resource } from '../../../lib/kube/api.ts';

/** https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.36/#pod-v1-core */
export interface PodObject extends KubeObject {
  readonly spec?: {
    readonly nodeName?: string;
    /** claims of the pod (DRA): by name, or with a template from which one is made */
    readonly resourceClaims?: readonly { readonly name: string; readonly resourceClaimName?: string }[];
  };
  readonly status?: {
    /** which object was made of a template, by the name in the specification */
    readonly resourceClaimStatuses?: readonly { readonly name: string; readonly resourceClaimName?: string }[];
    /** the claim that the scheduler made for extended resources (DRA) */
    readonly extendedResourceClaimStatus?: {
      readonly resourceClaimName: string;
      readonly requestMappings?: readonly {
        readonly containerName: string;
        readonly resourceName: string;
        readonly requestName: string;
      }[];
    };
  };
}

/** A NetworkAttachmentDefinition: https://github.com/k8snetworkplumbingwg/multi-net-spec, version 1.3, section 3 */
export interface NadObject extends KubeObject {
  readonly spec?: { readonly config?: string };
}

export const PODS: Resource = { group: '', version: 'v1', plural: 'pods' };
export const EVENTS: Resource = { group: '', version: 'v1', plural: 'events' };
export const NADS: Resource = { group: 'k8s.cni.cncf.io', version: 'v1', plural: 'network-attachment-definitions' };

/** Annotations of pods and of NetworkAttachmentDefinitions. */
export const ANNOTATIONS = {
  networks: 'k8s.v1.cni.cncf.io/networks',
  status: 'k8s.v1.cni.cncf.io/network-status',
  defaultNetwork: 'v1.multus-cni.io/default-network',
  resourceName: 'k8s.v1.cni.cncf.io/resourceName',
  /** only static pods have it, with another value than `api` */
  source: 'kubernetes.io/config.source',
} as const;
