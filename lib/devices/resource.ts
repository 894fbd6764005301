import type { ContainerAnswer, ListedDevice, PreferenceRequest } from './kubelet/messages.ts';
import type { ResourceName } from './names.ts';
import type { Watched } from './watched.ts';

/** A resource as a kubelet sees it: devices, and what a container gets with some of them. */
export interface Resource {
  readonly name: ResourceName;
  /** `intel.com_vf.sock` */
  readonly socketName: string;
  /** every device there is, unhealthy ones too */
  readonly devices: Watched<readonly ListedDevice[]>;
  /** @throws UnknownDevice, Error when the container cannot start */
  allocate(ids: readonly string[]): Promise<ContainerAnswer>;
  /** Which devices to take; absent: any are as good. */
  prefer?(request: PreferenceRequest): Promise<readonly string[]>;
}

/** The resource has no such device. */
export class UnknownDevice extends Error {}
