import { CniError } from '../../lib/cni/errors.ts';
import type { Result } from '../../lib/cni/result.ts';
import { hasSettings, type LinkSettings, settingsLike, settingsMissing } from '../../lib/link/settings.ts';
import type { Owner, TuningRecord } from './record.ts';

/** What is known before anything changes. */
export interface Facts {
  /** what the link has */
  readonly there: LinkSettings;
  /** the record that is there already */
  readonly earlier: TuningRecord | undefined;
  readonly owner: Owner;
}

export interface Plan {
  /** what is written down first; undefined when nothing of the link is asked for */
  readonly record: TuningRecord | undefined;
  /** what the link does not have yet */
  readonly change: LinkSettings;
}

/** RFC 8200: less, and the kernel takes IPv6 from the link without a word */
const LEAST_IPV6_MTU = 1280;

/**
 * What is changed, and what is put back one day: of a link that an earlier call has changed, what it had before that. Pure.
 */
export function planTuning(wanted: LinkSettings, { there, earlier, owner }: Facts): Plan {
  if (!hasSettings(wanted)) {
    return { record: undefined, change: {} };
  }
  const original = earlier !== undefined && isAbout(earlier, owner, wanted, there) ? earlier.before : {};
  return {
    record: { before: { ...settingsLike(there, wanted), ...original }, owner },
    change: settingsMissing(wanted, there),
  };
}

/**
 * Whether an earlier record is about this link. One of the Go plugin does not say it: it is, unless the link has
 * something that is neither what it had nor what it shall have.
 */
function isAbout({ before, owner }: TuningRecord, now: Owner, wanted: LinkSettings, there: LinkSettings): boolean {
  if (owner !== undefined) {
    return isSameLink(owner, now);
  }
  const changed = settingsMissing(before, there);
  return !hasSettings(settingsMissing(settingsLike(there, changed), wanted));
}

const isSameLink = (a: Owner, b: Owner): boolean =>
  a.link === b.link &&
  a.containerId === b.containerId &&
  a.ifName === b.ifName &&
  a.namespace.boot === b.namespace.boot &&
  a.namespace.inode === b.namespace.inode &&
  a.namespace.cookie === b.namespace.cookie;

/**
 * Refuses what the link cannot have without losing what it has.
 *
 * @throws CniError invalidNetworkConfig
 */
export function refuseUnfit({ mac, mtu }: LinkSettings, there: LinkSettings, previous: Result): void {
  const bytes = (text: string): number => text.split(':').length;
  if (mac !== undefined && bytes(mac) !== bytes(there.mac ?? '')) {
    const has =
      there.mac === undefined ? 'the interface has none' : `that of the interface has ${bytes(there.mac)} bytes`;
    throw new CniError('invalidNetworkConfig', `cannot use "mac" "${mac}": ${has}`);
  }
  const ipv6 = previous.ips.find(({ address }) => address.includes(':'))?.address;
  if (mtu !== undefined && mtu < LEAST_IPV6_MTU && ipv6 !== undefined) {
    throw new CniError(
      'invalidNetworkConfig',
      `cannot use "mtu" ${mtu}: the interface would lose its address "${ipv6}", IPv6 needs ${LEAST_IPV6_MTU}`,
    );
  }
}

/** The result of ADD: the previous one with what has changed. */
export function resultOf(
  previous: Result,
  { ifName, netnsPath }: { readonly ifName: string; readonly netnsPath: string },
  { mac, mtu }: LinkSettings,
): Result {
  const named = previous.interfaces.filter(({ name }) => name === ifName);
  const inside = named.filter(({ sandbox }) => (sandbox ?? '') !== '');
  const own = inside.filter(({ sandbox }) => sandbox === netnsPath);
  const changed = [own, inside, named].find((list) => list.length > 0) ?? [];
  return {
    ...previous,
    interfaces: previous.interfaces.map((one) =>
      changed.includes(one)
        ? { ...one, ...(mac === undefined ? {} : { mac }), ...(mtu === undefined ? {} : { mtu }) }
        : one,
    ),
  };
}
