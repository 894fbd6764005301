import type { CollectionPath, KubeObject, ObjectPath, Resource } from '../../../lib/kube/api.ts';

/** The objects that all nodes share, whichever plugin runs on them. What their schema does not name is dropped. */
const resource = (plural: string): Resource => ({ group: 'whereabouts.cni.cncf.io', version: 'v1alpha1', plural });
const API_VERSION = 'whereabouts.cni.cncf.io/v1alpha1';

/** A value in `spec.allocations`. Versions before 0.8 write no `podref` and no `ifname`. */
export interface RawEntry {
  readonly id?: string;
  readonly podref?: string;
  readonly ifname?: string;
}

/** All reservations of one range. */
export interface IpPool extends KubeObject {
  readonly spec: {
    readonly range: string;
    /** by the distance from the address in `range` */
    readonly allocations?: Readonly<Record<string, RawEntry>>;
  };
}

/** An address that is taken for all ranges of a network: OverlappingRangeIPReservation. */
export interface IpReservation extends KubeObject {
  readonly spec: {
    readonly podref: string;
    readonly ifname?: string;
    /** Versions before 0.8 demand it; nobody reads it. */
    readonly containerid?: string;
  };
}

/** A range that a controller has cut into slices, and who has them. */
export interface NodeSlicePool extends KubeObject {
  readonly spec: { readonly range: string; readonly sliceSize: string };
  readonly status?: {
    /** `nodeName` '': nobody */
    readonly allocations?: readonly { readonly nodeName: string; readonly sliceRange: string }[];
  };
}

/** Which container has claimed a reservation: who deletes it sees that it has been claimed again. */
const CLAIMANT = 'braid/container';
/** The same within a JSON pointer. */
export const CLAIMANT_POINTER = '/metadata/annotations/braid~1container';

export const poolsIn = (namespace: string): CollectionPath => ({ resource: resource('ippools'), namespace });
export const poolAt = (namespace: string, name: string): ObjectPath => ({ ...poolsIn(namespace), name });
export const reservationsIn = (namespace: string): CollectionPath => ({
  resource: resource('overlappingrangeipreservations'),
  namespace,
});
export const reservationAt = (namespace: string, name: string): ObjectPath => ({ ...reservationsIn(namespace), name });
export const slicePoolAt = (namespace: string, name: string): ObjectPath => ({
  resource: resource('nodeslicepools'),
  namespace,
  name,
});

export const poolObject = (namespace: string, name: string, spec: IpPool['spec']): IpPool => ({
  apiVersion: API_VERSION,
  kind: 'IPPool',
  metadata: { name, namespace },
  spec,
});

export const reservationObject = (
  namespace: string,
  name: string,
  claimant: string,
  spec: IpReservation['spec'],
): IpReservation => ({
  apiVersion: API_VERSION,
  kind: 'OverlappingRangeIPReservation',
  metadata: { name, namespace, annotations: claimed(claimant) },
  spec,
});

export const claimed = (claimant: string): Readonly<Record<string, string>> => ({ [CLAIMANT]: claimant });

export const claimantOf = ({ metadata }: IpReservation): string => metadata.annotations?.[CLAIMANT] ?? '';
