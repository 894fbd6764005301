import type { Deviation } from '../peers/compare.ts';

interface Statement {
  /** of the row in the README */
  readonly id: string;
  readonly ours: string;
  readonly go: string;
  readonly reason: string;
}

/** What a plugin of ours does in another way than Go's, on purpose: a comparison finds it, or a test of its own shows it. */
export type Difference = Statement &
  (
    | {
        /** what a comparison may find; one must */
        covers(deviation: Deviation): boolean;
      }
    | {
        /** where a test passes that has the difference for a tag: `multus/del-chain` */
        readonly shownBy: 'unit' | 'conformance' | 'cluster' | 'vm';
      }
  );

/** The tags of the differences that tests show. Each list of differences adds its own to vitest's `TestTags`. */
export type Tag<Room extends string, List extends readonly Statement[]> = List[number] extends infer One
  ? One extends { readonly id: infer Id extends string; readonly shownBy: string }
    ? `${Room}/${Id}`
    : never
  : never;
