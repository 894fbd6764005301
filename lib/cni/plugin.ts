import type { LivingNetns } from '../netns/living.ts';
import type { Native } from '../netns/native.ts';
import type { Netns } from '../netns/netns.ts';
import type { OpenDatabase } from '../sys/database.ts';
import type { Joiner } from '../sys/joiner.ts';
import type { Slot } from '../sys/shared.ts';
import type { Schema } from './config.ts';
import type { JsonObject } from './json.ts';
import type { Result } from './result.ts';
import type { NetnsIdentity } from './sandbox.ts';
import type { Version } from './versions.ts';

export type Env = Readonly<Record<string, string | undefined>>;

export type Verb = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS' | 'VERSION';

/** One call of a plugin, its configuration read and its environment validated. */
export interface Call<C> {
  readonly verb: Verb;
  readonly conf: C;
  /** the whole document on stdin, as parsed */
  readonly document: JsonObject;
  /** the very bytes, for delegates that must get the same */
  readonly stdin: Buffer;
  readonly env: Env;
  readonly version: Version;
  /** `name` of the configuration */
  readonly network: string;
  /** '' in GC and STATUS */
  readonly containerId: string;
  /** '' in GC and STATUS */
  readonly ifName: string;
  /** CNI_NETNS as given; '' when absent (DEL, GC, STATUS) */
  readonly netnsPath: string;
  /** CNI_ARGS as given */
  readonly args: string;
  /** CNI_PATH, split at colons */
  readonly path: readonly string[];
}

/** `cni.dev/valid-attachments` of a GC call; absent means that the caller said nothing, which is not "none". */
export interface Attachment {
  readonly containerID: string;
  readonly ifname: string;
}

/**
 * A plugin: one function per verb. Those without `read…` take the whole configuration.
 *
 * A verb that has nothing to do is written all the same, with a line that says why.
 */
export interface Plugin<C = unknown> {
  readonly name: string;
  /** one line for people who start the program by hand; '' when the Go plugin has none */
  readonly about: string;
  /** a conf of this plugin that works, for the same people */
  readonly conf: Schema<C>;
  add(call: Call<C>, host: Host): Promise<Result | PrintedResult>;
  /** Gets the document unread: DEL validates no more than it needs. */
  del(call: Call<JsonObject>, host: Host): Promise<void>;
  check(call: Call<C>, host: Host): Promise<void>;
  status(call: Call<C>, host: Host): Promise<void>;
  gc(call: Call<C>, host: Host, valid: readonly Attachment[] | undefined): Promise<void>;
  /**
   * Refuses a configuration that no ADD can use, as ADD does, without asking the kernel: for `braid doctor`, which has read
   * it with `conf` before. Where the plugin is chained, the document has an empty `prevResult`.
   *
   * @throws CniError
   */
  validate?(call: Call<C>): void;
  /**
   * Refuses this very ADD, as ADD does before it touches anything: for those who run several plugins, and ask all of them
   * before the first one runs. Called after `validate`, with the same document. Reads only.
   *
   * @throws CniError
   */
  foresee?(call: Call<C>, host: Host): Promise<void>;
  /**
   * Networks that a configuration leads to by paths, for `braid doctor`.
   *
   * @throws CniError
   */
  networksAt?(conf: C): readonly JsonObject[];
  /** keys that people write and nobody reads, and what to do instead: `subnet` → `is a key of …: write "range"` */
  readonly misnomers?: Readonly<Record<string, string>>;
  /** commands for people, offered by `braid <plugin's noun> …` */
  readonly commands?: readonly Command[];
  /**
   * What the plugin has recorded of attachments on this node, for people and for `braid gc`. Reads only.
   *
   * @param confs what plugins of this node, also others, are configured with: they say where records are
   */
  records?(host: Host, confs: readonly JsonObject[]): Promise<readonly AttachmentRecord[]>;
  /** What makes the plugin fail or run slowly here, for `braid doctor`. Reads only. */
  examine?(host: Host, node: Examined): Promise<readonly Finding[]>;
}

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

/** What a plugin is shown of a node that is examined. */
export interface Examined {
  readonly confs: readonly JsonObject[];
  /** of all plugins */
  readonly records: readonly AttachmentRecord[];
  /** has the pod of a record ended, as far as its namespace tells? */
  isGone(record: AttachmentRecord): boolean;
}

/** Something about a node that a person should know. */
export interface Finding {
  /** `fault`: pods fail; `warning`: they will, or are slow */
  readonly level: 'fault' | 'warning';
  /** one sentence: what is so, and what follows */
  readonly text: string;
  /** one sentence: what to do */
  readonly fix: string;
}

/** A result that is printed in a version of its own. */
export interface PrintedResult {
  readonly result: Result;
  readonly version: Version;
}

/** What a plugin is read from: loaded only when it is called for. */
export type Registry = Readonly<Record<string, () => Promise<Plugin>>>;

/** A command for people: `braid ipam import …`. */
export interface Command {
  /** `ipam import` */
  readonly name: string;
  /** the whole line: `braid ipam import <folder> …` */
  readonly usage: string;
  /** one line */
  readonly about: string;
  /** more lines for `--help`: the options */
  readonly options?: readonly (readonly [option: string, about: string])[];
  /** @returns the exit code: 0 done, 1 failed, 2 wrong usage */
  run(args: readonly string[], host: Host, print: (line: string) => void): Promise<number>;
}

/** Everything a call may touch. Plugins get it as an argument; nothing in lib reaches around it. */
export interface Host {
  readonly native: Native;
  /** the network namespace of the caller */
  readonly netns: Netns;
  /** root of sysfs: `/sys` */
  readonly sysfs: string;
  /**
   * Opens a namespace for the time of a call.
   *
   * @throws NetnsMissing, NotANetns
   */
  openNetns(path: string): Netns;
  /** Namespaces that a process is in or a mount holds, each once. */
  livingNetns(): readonly LivingNetns[];
  /** names this run of the kernel: another after each boot */
  readonly bootId: string;
  /** one line on stderr; never a secret */
  readonly log: (line: string) => void;
  /** plugins of this build, by type */
  readonly registry: Registry;
  /** Is this file our own build? Then its plugin runs inside this process. */
  isOwnBuild(path: string): boolean;
  /** Executes a program to its end. */
  execute(path: string, env: Env, stdin: Buffer): Promise<Executed>;
  /** Opens a database file, which is made when it is missing. */
  readonly openDatabase: OpenDatabase;
  /** Something that all calls of the process share. */
  shared<T extends Disposable>(slot: Slot<T>): T;
  /** Waits for a round of a joiner, and lets it be known that this call now waits. */
  join<I, O>(joiner: Joiner<I, O>, item: I): Promise<O>;
  /** Deletes a link; what is asked for at the same time shares one request. */
  removeLink(netns: Netns, index: number): Promise<void>;
  sleep(ms: number): Promise<void>;
}

export interface Executed {
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}
