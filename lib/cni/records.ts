import type { JsonObject } from './json.ts';
import type { NetnsIdentity } from './sandbox.ts';

/** What a plugin has recorded of an attachment. A text that is not recorded is ''. */
export interface AttachmentRecord {
  readonly containerId: string;
  readonly ifName: string;
  readonly network: string;
  /** `namespace/name` */
  readonly pod: string;
  /** CNI_NETNS of ADD */
  readonly netns: string;
  /** of the namespace itself, where ADD has recorded it */
  readonly namespace?: NetnsIdentity;
  /** with their prefix lengths */
  readonly addresses: readonly string[];
  /** what was given to the pod: a link's name, a PCI address */
  readonly device: string;
  /** since the epoch; undefined when nothing tells */
  readonly sinceMs: number | undefined;
  /** the file, or the folder of the store */
  readonly place: string;
  /** the network, where its configuration was recorded: a configuration or a list */
  readonly list?: JsonObject;
  /** a configuration with which DEL takes back what this record is about */
  readonly release: JsonObject;
}
