import type { JsonObject } from './json.ts';
import type { NetnsIdentity } from './sandbox.ts';

/** A plugin's record of an attachment. A string that is not recorded is ''. */
export interface AttachmentRecord {
  readonly containerId: string;
  readonly ifName: string;
  readonly network: string;
  /** `namespace/name` */
  readonly pod: string;
  /** CNI_NETNS of ADD */
  readonly netns: string;
  /** of the namespace itself, if ADD recorded it */
  readonly namespace?: NetnsIdentity;
  /** with their prefix lengths */
  readonly addresses: readonly string[];
  /** the device in the pod: a link name, a PCI address */
  readonly device: string;
  /** since the epoch; undefined if unknown */
  readonly sinceMs: number | undefined;
  /** the file, or the folder of the store */
  readonly place: string;
  /** the network's configuration or list, if it was recorded */
  readonly list?: JsonObject;
  /** a configuration for DEL of this record */
  readonly release: JsonObject;
}
