import { messageOf } from '../../lib/cni/errors.ts';
import { hasErrno, NoAnswer } from '../../lib/netlink/errno.ts';
import { type Clock, poll } from '../../lib/sys/clock.ts';

const TIMEOUT_MS = 2_000;
/** How drivers are asked again. */
export const RHYTHM = { firstMs: 1, longestMs: 64 };

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

/**
 * Asks again as long as the answer is an error that passes, in pauses that grow, for two seconds.
 *
 * @throws the last error
 */
export async function patiently<T>(clock: Clock, attempt: () => Promise<T>): Promise<T> {
  let failure: unknown;
  const done = await poll(clock, TIMEOUT_MS, RHYTHM, async () => {
    try {
      return { value: await attempt() };
    } catch (error) {
      if (!hasErrnoOfKernel(error) || isFinal(error)) {
        throw error;
      }
      failure = error;
      return undefined;
    }
  });
  if (done === undefined) {
    throw failure;
  }
  return done.value;
}

const hasErrnoOfKernel = (error: unknown): boolean => /^E[A-Z0-9]+$/.test((error as { code?: string }).code ?? '');
