import type { DeviceFacts, KernelFacts } from './facts.ts';
import type { Resource } from './resource.ts';

/** By resource: IDs of devices that containers have. */
export type Held = ReadonlyMap<string, ReadonlySet<string>>;

/** What only some configurations ask for: whether RDMA is enabled where no RDMA device is seen, DDP profiles. */
export type Need = 'rdma' | 'ddp';

/** What is known of a node at one moment. */
export interface NodeNow {
  readonly devices: readonly DeviceFacts[];
  readonly kernel: KernelFacts;
  readonly held: Held;
  /** monotonic milliseconds */
  readonly now: number;
}

export interface Looked {
  /** that are to be offered */
  readonly resources: readonly Resource[];
  /** when to look again although nothing happens; infinite: never */
  readonly againMs: number;
  /** interfaces to set up, once */
  readonly toSetUp?: readonly string[];
}

/** A configuration, and the resources that it makes of a node. */
export interface Source {
  /** where the configuration is */
  readonly file: string;
  /**
   * Whether the node is as it must be, whatever the configuration.
   *
   * @throws Error saying why it is not
   */
  demand?(): Promise<void>;
  /**
   * Takes a configuration; one that is refused leaves the one before.
   *
   * @throws Error naming the key and the value
   */
  configure(content: string): void;
  /** What its configuration asks for. */
  readonly needs?: ReadonlySet<Need>;
  /** Brings the resources in line with what the node has now. */
  look(node: NodeNow): Looked;
  /**
   * Takes away what nobody needs when the program has ended.
   *
   * @param held undefined: not known
   */
  end(held: Held | undefined): void;
}
