import { execute } from '../lab/execute.ts';
import type { Pod } from '../lab/lab.ts';
import { until } from './until.ts';

const WAIT_S = 1;

/**
 * One echo request, from a pod or from the node: whether there was an answer within a second.
 *
 * @throws Error where there is no `ping`
 */
export async function ping(from: Pod | undefined, address: string): Promise<boolean> {
  const command = ['ping', '-n', '-q', '-c', '1', '-W', String(WAIT_S), address];
  const argv = from === undefined ? command : ['ip', 'netns', 'exec', from.name, ...command];
  const { exitCode, stderr } = await execute(argv);
  if (/^exec of "ping" failed/m.test(stderr)) {
    throw new Error(stderr);
  }
  return exitCode === 0;
}

/** Waits for the first answer: links and neighbours take their time. @throws Error when there is none in time */
export async function reaches(from: Pod | undefined, address: string): Promise<boolean> {
  return until(`${from?.name ?? 'the node'} reaches ${address}`, () => ping(from, address));
}
