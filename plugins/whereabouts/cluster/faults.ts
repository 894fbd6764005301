import { CniError } from '../../../lib/cni/errors.ts';

/** A pool's object has reached the size that etcd takes. */
export const POOL_TOO_LARGE = 100;

export const poolTooLarge = (name: string, entries: number, cause?: unknown): CniError =>
  new CniError(
    POOL_TOO_LARGE,
    `cannot reserve in pool "${name}": its object has ${entries} addresses and cannot hold more: ` +
      'divide the range among several networks',
    { cause },
  );
