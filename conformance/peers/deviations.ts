/** What a deviation is like: words that differences are written in. */
import type { Deviation, Step } from './compare.ts';

export const failed = ({ exit }: Step): boolean => exit !== 0;
export const bothFailed = ({ ours, go }: Deviation): boolean => failed(ours) && failed(go);
export const onlyGoFailed = ({ ours, go }: Deviation): boolean => !failed(ours) && failed(go);
export const onlyOursFailed = ({ ours, go }: Deviation): boolean => failed(ours) && !failed(go);

export const hasOtherCode = (deviation: Deviation, code: number): boolean =>
  deviation.aspect === 'code' && bothFailed(deviation) && deviation.ours.code === code && deviation.go.code === 999;

export const isExit = ({ aspect, verb }: Deviation, wanted: string): boolean => aspect === 'exit' && verb === wanted;

export const isState = ({ aspect }: Deviation): boolean => ['pod', 'sysctls', 'node', 'store'].includes(aspect);

export const withoutMetrics = ({ pod }: Step): string =>
  JSON.stringify({ ...pod, routes: pod.routes.map(({ metrics: _, ...route }) => route) });

/** The path is there, and leads to something else than a network namespace. */
export const isDelOfNoNetns = (deviation: Deviation): boolean =>
  isExit(deviation, 'DEL') &&
  onlyGoFailed(deviation) &&
  /unknown FS magic|Error switching to ns .*: invalid argument/.test(deviation.go.message);
