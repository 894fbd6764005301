import type { Deviation } from '../peers/compare.ts';

/** What a plugin of ours does in another way than Go's, on purpose. */
export interface Difference {
  readonly id: string;
  /** whose README has the row; 'all' is the project's, whose rows have no ids: there `ours` is the row's beginning */
  readonly plugin: 'all' | 'host-device' | 'macvlan' | 'multus' | 'rdma' | 'sriov' | 'whereabouts';
  readonly ours: string;
  readonly go: string;
  readonly reason: string;
  /** what a comparison may find; without it a test of its own shows the difference */
  covers?(deviation: Deviation): boolean;
  /** that test: file and title */
  readonly test?: readonly [string, string];
}
