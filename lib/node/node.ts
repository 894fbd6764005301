import { ContentionMeter, PATIENT } from '../netlink/contention.ts';
import { type LivingNetns, listLivingNetns } from '../netns/living.ts';
import type { Native } from '../netns/native.ts';
import { type Netns, OpenNamespaces } from '../netns/netns.ts';
import { readBootId } from '../sys/boot.ts';
import { type Executed, type Execution, execute } from '../sys/execute.ts';
import { type BatchWork, Gatherer } from '../sys/gather.ts';
import { KeyedMutex } from '../sys/keyed-mutex.ts';

/**
 * A process that serves calls, one or many at once: what outlives a call, and what calls share. Nothing in lib or in a
 * plugin reaches around it for the machine: a test has a node of its own.
 */
export interface Node {
  readonly native: Native;
  /** the network namespace of the process */
  readonly host: Netns;
  /** root of sysfs: `/sys` */
  readonly sysfs: string;
  /** names this run of the kernel: another after each boot */
  readonly bootId: string;
  /** one holder for each name at a time, first come first served: in front of the locks on files */
  readonly locks: KeyedMutex;
  /**
   * Opens a namespace; handles of the same one share its sockets.
   *
   * @throws NetnsMissing, NotANetns
   */
  openNetns(path: string): Netns;
  /** Namespaces that a process is in or a mount holds, each once. */
  livingNetns(): readonly LivingNetns[];
  /**
   * Runs a program to its end.
   *
   * @throws what `execute` throws
   */
  execute(execution: Execution, signal?: AbortSignal): Promise<Executed>;
  /** Does together what calls ask for at the same time; see Gatherer. */
  gather<I, O>(key: string, item: I, work: BatchWork<I, O>): Promise<O>;
  /** Told how long a part of a call took, for those who want to know where the time goes. */
  readonly observe?: ((name: string, ms: number) => void) | undefined;
}

export interface NodeParts {
  /** called at first use: VERSION needs no native part */
  readonly loadNative: () => Native;
  /** It serves several calls at once: none may keep the others waiting. */
  readonly servesMany?: boolean;
  readonly observe?: (name: string, ms: number) => void;
}

/** The real one. What costs a system call is asked for at first use. */
export function makeNode({ loadNative, servesMany = false, observe }: NodeParts): Node {
  const gatherer = new Gatherer();
  let native: Native | undefined;
  let host: Netns | undefined;
  let bootId: string | undefined;
  const node: Node = {
    get native() {
      native ??= loadNative();
      return native;
    },
    get host() {
      host ??= namespaces.own();
      return host;
    },
    sysfs: '/sys',
    get bootId() {
      bootId ??= readBootId();
      return bootId;
    },
    locks: new KeyedMutex(),
    openNetns: (path) => namespaces.at(path),
    livingNetns: listLivingNetns,
    execute,
    gather: (key, item, work) => gatherer.gather(key, item, work),
    observe,
  };
  const namespaces = new OpenNamespaces(() => node.native, servesMany ? new ContentionMeter() : PATIENT);
  return node;
}
