import type { JsonObject } from './json.ts';
import type { AttachmentRecord } from './records.ts';

/** A node under examination, as plugins see it. */
export interface Examined {
  readonly confs: readonly JsonObject[];
  /** of all plugins */
  readonly records: readonly AttachmentRecord[];
  /** whether the namespace of a record's pod is gone */
  isGone(record: AttachmentRecord): boolean;
}

/** Something about a node that a person should know. */
export interface Finding {
  /** `fault`: pods fail; `warning`: pods will fail, or are slow */
  readonly level: 'fault' | 'warning';
  /** one sentence: the finding and its consequence */
  readonly text: string;
  /** one sentence: what to do */
  readonly fix: string;
}
