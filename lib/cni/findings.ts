import type { JsonObject } from './json.ts';
import type { AttachmentRecord } from './records.ts';

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
