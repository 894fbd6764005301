import { messageOf } from '../../lib/cni/errors.ts';
import { hasErrno, NoAnswer } from '../../lib/netlink/errno.ts';
import { type Clock, poll } from '../../lib/sys/clock.ts';

const TIMEOUT_MS = 2_000;
/** Pauses between retries of a driver. */
export const RETRY_PAUSES = { firstMs: 1, longestMs: 64 };

/** Permanent errors. Others are transient: a VF that its PF is resetting returns all kinds of them. */
const FINAL = [
  ...['EINVAL', 'EPERM', 'EACCES', 'EOPNOTSUPP', 'ENOTSUP', 'EPROTONOSUPPORT', 'ENODEV', 'ERANGE'],
  ...['EADDRNOTAVAIL', 'EEXIST', 'EMSGSIZE'],
];

/** Whether a retry is pointless. */
export const isFinal = (error: unknown): boolean => hasErrno(error, ...FINAL);

/** Whether the kernel refused, rather than not answer. */
export const isRefusal = (error: unknown): boolean => hasErrnoOfKernel(error) && !(error instanceof NoAnswer);

/**
 * Runs a step of a restore that the driver may refuse: a refusal is logged and fails nothing, or the VF would be lost.
 *
 * @param what its object: `link "ens1f0v3"`
 */
export async function logRefusal(
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
    log(`cannot fully restore ${what}: ${messageOf(error)}`);
  }
}

/**
 * Retries transient errors, with growing pauses, for two seconds.
 *
 * @throws the last error
 */
export async function retryTransient<T>(clock: Clock, attempt: () => Promise<T>): Promise<T> {
  let failure: unknown;
  const done = await poll(clock, TIMEOUT_MS, RETRY_PAUSES, async () => {
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
