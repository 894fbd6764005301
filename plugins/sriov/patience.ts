import { messageOf } from '../../lib/cni/errors.ts';
import { hasErrno, NoAnswer } from '../../lib/netlink/errno.ts';

const DEADLINE_MS = 2_000;
const LONGEST_PAUSE_MS = 64;

/** What another try would not change. Others pass: a VF that its PF is resetting answers with all kinds of them. */
const FINAL = [
  ...['EINVAL', 'EPERM', 'EACCES', 'EOPNOTSUPP', 'ENOTSUP', 'EPROTONOSUPPORT', 'ENODEV', 'ERANGE'],
  ...['EADDRNOTAVAIL', 'EEXIST', 'EMSGSIZE'],
];

/** A refusal that another try would not change. */
export const isFinal = (error: unknown): boolean => hasErrno(error, ...FINAL);

/** A refusal, and not the lack of an answer. */
export const isRefusal = (error: unknown): boolean => hasErrnoOfKernel(error) && !(error instanceof NoAnswer);

/**
 * Puts something back that a driver may not take: that is logged, and stops nothing, or the VF would be lost.
 *
 * @param what it is about: `link "ens1f0v3"`
 */
export async function orLog(
  log: (line: string) => void,
  what: string,
  refused: (error: unknown) => boolean,
  work: () => Promise<unknown>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!refused(error)) {
      throw error;
    }
    log(`${what} is not quite as it was: ${messageOf(error)}`);
  }
}

/** How a call waits. */
export type Sleep = (ms: number) => Promise<void>;

/**
 * Asks again as long as the answer is an error that passes, in pauses that grow, for two seconds.
 *
 * @throws the last error
 */
export async function patiently<T>(sleep: Sleep, attempt: () => Promise<T>): Promise<T> {
  for (let waited = 0, pause = 1; ; waited += pause, pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      return await attempt();
    } catch (error) {
      if (waited >= DEADLINE_MS || !hasErrnoOfKernel(error) || isFinal(error)) {
        throw error;
      }
    }
    await sleep(pause);
  }
}

/**
 * Looks again until there is something to see, in pauses that grow.
 *
 * @returns undefined when there was nothing until the deadline
 */
export async function awaited<T>(
  sleep: Sleep,
  look: () => Promise<T | undefined>,
  deadlineMs: number,
): Promise<T | undefined> {
  for (let waited = 0, pause = 1; ; waited += pause, pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    const seen = await look();
    if (seen !== undefined || waited >= deadlineMs) {
      return seen;
    }
    await sleep(pause);
  }
}

const hasErrnoOfKernel = (error: unknown): boolean => /^E[A-Z0-9]+$/.test((error as { code?: string }).code ?? '');
