import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Env } from '../../sys/execute.ts';
import type { JsonObject } from '../json.ts';

/** What a container runtime passed to a plugin, recorded from real runtimes by conformance/containerd/record.ts. */
export interface RecordedCall {
  readonly env: Env;
  readonly stdin: JsonObject;
}

export interface RecordedRuntime {
  /** `containerd 2.4.2` */
  readonly runtime: string;
  readonly calls: readonly RecordedCall[];
}

const FIXTURES = join(import.meta.dirname, '../../../conformance/containerd/fixtures');

export const RECORDED: readonly RecordedRuntime[] = globSync('*.json', { cwd: FIXTURES })
  .sort()
  .map((name) => JSON.parse(readFileSync(join(FIXTURES, name), 'utf8')) as RecordedRuntime);

/** The calls of one verb for the pod with annotations, a port and more, or for the plain one. */
export const callsFor = ({ calls }: RecordedRuntime, verb: string, pod: 'rich' | 'plain'): readonly RecordedCall[] =>
  calls.filter(({ env }) => env['CNI_COMMAND'] === verb && env['CNI_ARGS']?.includes(`K8S_POD_NAME=${pod}`));
