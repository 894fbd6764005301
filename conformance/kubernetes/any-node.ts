/** What the cluster and its tests ask of a node, whatever it is made of. */
import type { Cri } from '../containerd/cri.ts';
import type { Execution } from '../lab/execute.ts';

export type Daemon = 'containerd' | 'kubelet';

/** Runs a program that must succeed. @returns its stdout */
export type Run = (argv: readonly string[], execution?: Execution) => Promise<string>;

export interface AnyNode {
  readonly name: string;
  readonly cri: Cri;
  /** Runs a program where namespaces of the node and its pods can be named: always the same function. */
  readonly run: Run;
  /** for `ip -n`, in `run`: the node's own namespace */
  readonly netns: string;
  /** With the runtime, ready for pods. */
  boot(): Promise<void>;
  start(daemon: Daemon): Promise<void>;
  /** Puts a file on the disk, in one step: also under a node that runs. */
  write(pathOnNode: string, text: string): Promise<void>;
  /** Every file below a folder, folders with a slash at the end. */
  names(pathOnNode: string): Promise<readonly string[]>;
  /** For `ip -n`, in `run`: a namespace whose path on the node is this. */
  nameHere(netns: string): string;
  /** The end of what a daemon has logged. */
  lastWords(daemon: Daemon, lines?: number): string;
}
