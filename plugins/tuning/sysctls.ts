import { CniError } from '../../lib/cni/errors.ts';
import { checkFailed } from '../../lib/cni/previous.ts';
import type { Undo } from '../../lib/cni/undo.ts';
import { type ErrnoError, hasErrno } from '../../lib/netlink/errno.ts';
import type { Netns, Sysctl } from '../../lib/netns/netns.ts';
import { isShortage } from '../../lib/sys/io-error.ts';
import { ALLOW_LIST, type AllowList } from './allow-list.ts';
import { isSameValue } from './sysctl-name.ts';
import type { SysctlWish } from './wishes.ts';

/**
 * Takes the readings that the node allows.
 *
 * @throws CniError invalidNetworkConfig naming the sysctl of which none is
 */
export const allowed = (sysctls: readonly SysctlWish[], isAllowed: AllowList): readonly SysctlWish[] =>
  sysctls.map((wish) => {
    const readings = wish.readings.filter(isAllowed);
    if (readings.length === 0) {
      throw new CniError(
        'invalidNetworkConfig',
        `cannot set sysctl "${wish.name}": no expression of "${ALLOW_LIST}" matches the whole of "${wish.readings[0]?.dotted}"`,
      );
    }
    return { ...wish, readings };
  });

/** A sysctl that is there. */
interface Found {
  readonly wish: SysctlWish;
  readonly path: string;
  /** or why it cannot be read: some can only be written, others have no value yet */
  readonly value: string | ErrnoError;
}

/**
 * Sets sysctls, all or none.
 *
 * @throws CniError invalidNetworkConfig when there is no such sysctl; ErrnoError when the kernel refuses a value
 */
export function setSysctls(netns: Netns, sysctls: readonly SysctlWish[], undo: Undo): void {
  if (sysctls.length === 0) {
    return;
  }
  const found = look(netns, sysctls);
  const before = found.flatMap(({ path, value }): readonly Sysctl[] =>
    typeof value === 'string' ? [[path, value]] : [],
  );
  undo.push('put sysctls back', () => writeAll(netns, before));
  writeAll(
    netns,
    found.map(({ wish, path }) => [path, wish.value]),
  );
}

/** @throws ErrnoError the first of all */
function writeAll(netns: Netns, sysctls: readonly Sysctl[]): void {
  const [failure] = sysctls.length === 0 ? [] : netns.writeSysctls(sysctls);
  if (failure !== undefined) {
    throw failure;
  }
}

/** @throws CniError internal naming the sysctl that has another value */
export function checkSysctls(netns: Netns, sysctls: readonly SysctlWish[]): void {
  for (const { wish, path, value } of look(netns, sysctls)) {
    if (typeof value === 'string' ? !isSameValue(wish.value, value) : !hasErrno(value, 'EACCES')) {
      const has = typeof value === 'string' ? `is ${JSON.stringify(value)}` : `has no value (${value.code})`;
      throw checkFailed(`sysctl "${path}" ${has}, not ${JSON.stringify(wish.value)}`);
    }
  }
}

/** What there is of each, in one visit. */
function look(netns: Netns, sysctls: readonly SysctlWish[]): readonly Found[] {
  const asked = sysctls.flatMap(({ readings }) => readings.map(({ path }) => path));
  const values = new Map(netns.readSysctls(asked).map((value, index) => [asked[index], value]));
  return sysctls.map((wish) => {
    const tried = wish.readings.map(({ path }) => ({ wish, path, value: values.get(path) }));
    const found = tried.find(isThere);
    if (found === undefined) {
      const why = `there is no /proc/sys/${tried[0]?.path} in the container`;
      throw new CniError('invalidNetworkConfig', `cannot use "sysctl" "${wish.name}": ${why}`);
    }
    if (isShortage(found.value)) {
      throw found.value;
    }
    return found;
  });
}

const isThere = (tried: { readonly value: string | ErrnoError | undefined }): tried is Found =>
  tried.value !== undefined && !hasErrno(tried.value, 'ENOENT', 'ENOTDIR', 'EISDIR');
