import type { Env } from '../sys/execute.ts';
import type { JsonObject } from './json.ts';
import type { Version } from './versions.ts';

export type Verb = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS' | 'VERSION';

/** What every call of a plugin has, whatever it is about. Its environment is validated. */
export interface Call<C> {
  readonly verb: Verb;
  /** the configuration as the plugin reads it; the document itself where it is not read */
  readonly conf: C;
  /** the whole document on stdin, as parsed */
  readonly document: JsonObject;
  /** the very bytes, for delegates that must get the same */
  readonly stdin: Buffer;
  readonly env: Env;
  readonly version: Version;
  /** `name` of the configuration */
  readonly network: string;
  /** CNI_PATH, split at colons */
  readonly path: readonly string[];
}

/** A call about one attachment: an interface of a container. */
export interface AttachmentCall<C, Path = string | undefined> extends Call<C> {
  readonly verb: 'ADD' | 'CHECK' | 'DEL';
  readonly containerId: string;
  readonly ifName: string;
  /** CNI_NETNS as given; DEL does without */
  readonly netnsPath: Path;
  /** CNI_ARGS as given */
  readonly args: string;
}

/** ADD and CHECK. */
export interface PodCall<C> extends AttachmentCall<C, string> {
  readonly verb: 'ADD' | 'CHECK';
}

/** DEL. It gets the document unread, since it validates no more than it needs. */
export interface DeletionCall extends AttachmentCall<JsonObject> {
  readonly verb: 'DEL';
}

/** STATUS and GC: calls about a network, and no attachment of it. */
export interface NetworkCall<C> extends Call<C> {
  readonly verb: 'STATUS' | 'GC';
}

/** `cni.dev/valid-attachments` of a GC call; absent means that the caller said nothing, which is not "none". */
export interface Attachment {
  readonly containerID: string;
  readonly ifname: string;
}
