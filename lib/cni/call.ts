import type { Env } from '../sys/execute.ts';
import type { JsonObject } from './json.ts';
import type { Stdin } from './stdin.ts';
import type { Version } from './versions.ts';

export type Verb = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS' | 'VERSION';

/** What every call of a plugin has. Its environment is validated. */
export interface Call<C> {
  readonly verb: Verb;
  /** the parsed configuration; the document itself where it is not parsed */
  readonly conf: C;
  /** the whole document on stdin, as parsed */
  readonly document: JsonObject;
  /** where it was read, for delegates that must get the same bytes */
  readonly stdin: Stdin;
  readonly env: Env;
  readonly version: Version;
  /** `name` of the configuration */
  readonly network: string;
  /** CNI_PATH, split at colons */
  readonly path: readonly string[];
}

/** A call for one attachment: an interface of a container. */
export interface AttachmentCall<C, Path = string | undefined> extends Call<C> {
  readonly verb: 'ADD' | 'CHECK' | 'DEL';
  readonly containerId: string;
  readonly ifName: string;
  /** CNI_NETNS as given; optional for DEL */
  readonly netnsPath: Path;
  /** CNI_ARGS as given */
  readonly args: string;
}

/** ADD and CHECK. */
export interface PodCall<C> extends AttachmentCall<C, string> {
  readonly verb: 'ADD' | 'CHECK';
}

/** DEL. Its document is not parsed: DEL validates only what it needs. */
export interface DeletionCall extends AttachmentCall<JsonObject> {
  readonly verb: 'DEL';
}

/** STATUS and GC: calls for a network, not an attachment. */
export interface NetworkCall<C> extends Call<C> {
  readonly verb: 'STATUS' | 'GC';
}

/** `cni.dev/valid-attachments` of a GC call; absent is not the same as empty. */
export interface Attachment {
  readonly containerID: string;
  readonly ifname: string;
}
