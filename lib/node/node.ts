import { ContentionMeter, NO_CONTENTION, observedContention } from '../netlink/contention.ts';
import { type LivingNetns, listLivingNetns } from '../netns/living.ts';
import type { Native } from '../netns/native.ts';
import { type Netns, OpenNamespaces } from '../netns/netns.ts';
import { readBootId } from '../sys/boot.ts';
import { type OpenDatabase, openDatabase } from '../sys/database.ts';
import { BLOCKING_DISK, type Disk, sharedDisk } from '../sys/disk.ts';
import { type Executed, type Execution, execute } from '../sys/execute.ts';
import { type BatchWork, Gatherer } from '../sys/gather.ts';
import { Glances } from '../sys/glance.ts';
import { KeyedMutex } from '../sys/keyed-mutex.ts';
import { readAhead } from '../sys/random.ts';
import { type Holding, Shared, type Slot } from '../sys/shared.ts';
import type { Observer } from './observer.ts';

/**
 * A process that serves calls, one or many at once: what outlives a call, and what calls share. All access to the
 * machine goes through it, so that tests can use their own.
 */
export interface Node {
  readonly native: Native;
  /** the network namespace of the process */
  readonly host: Netns;
  /** root of sysfs: `/sys` */
  readonly sysfs: string;
  /** changes with every boot */
  readonly bootId: string;
  /** one holder for each name at a time, first come first served; in front of file locks */
  readonly locks: KeyedMutex;
  /**
   * Opens a namespace; handles of the same one share its sockets.
   *
   * @param descriptor of what a caller has opened at the path, and keeps open meanwhile
   * @throws NetnsMissing, NotANetns
   */
  openNetns(path: string, descriptor?: number): Netns;
  /** Namespaces of processes and mounts, each once. */
  livingNetns(): readonly LivingNetns[];
  /**
   * Runs a program.
   *
   * @throws what `execute` throws
   */
  execute(execution: Execution, signal?: AbortSignal): Promise<Executed>;
  /** Looks at something once in a turn of the event loop; see Glances. */
  glance<T>(key: string, look: () => T): T;
  /** Batches what calls request at the same time; see Gatherer. */
  gather<I, O>(key: string, item: I, work: BatchWork<I, O>): Promise<O>;
  /** what makes records durable */
  readonly disk: Disk;
  /** Opens a database file, which is made when it is missing. */
  readonly openDatabase: OpenDatabase;
  /** whether it serves many calls, as an agent does: then it pays to follow what calls ask for */
  readonly servesMany: boolean;
  /** Something of which the process has one. */
  shared<T extends Disposable>(slot: Slot<T>): T;
  /** What of it tells how much it keeps. */
  readonly holdings?: () => readonly Holding[];
  /** hears of the parts of calls; undefined: nothing is measured */
  readonly observe?: Observer | undefined;
}

export interface NodeParts {
  /** called on first use: VERSION needs no native part */
  readonly loadNative: () => Native;
  /** It serves several calls at once: none may block the others. */
  readonly servesMany?: boolean;
  readonly observe?: Observer;
}

/** The real node. What costs a system call is fetched on first use. */
export function makeNode({ loadNative, servesMany = false, observe }: NodeParts): Node {
  if (servesMany) {
    readAhead();
  }
  const gatherer = new Gatherer();
  const glances = new Glances();
  const shared = new Shared();
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
    openNetns: (path, descriptor) => namespaces.at(path, descriptor),
    livingNetns: listLivingNetns,
    execute,
    glance: (key, look) => glances.at(key, look),
    gather: (key, item, work) => gatherer.gather(key, item, work),
    disk: servesMany ? sharedDisk() : BLOCKING_DISK,
    openDatabase,
    servesMany,
    shared: (slot) => shared.get(slot),
    holdings: () => shared.holdings(),
    observe,
  };
  const contention = servesMany ? new ContentionMeter() : NO_CONTENTION;
  const observed = observe === undefined ? contention : observedContention(contention, observe);
  const namespaces = new OpenNamespaces(() => node.native, observed);
  return node;
}
