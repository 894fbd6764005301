import type { Call } from '../../lib/cni/call.ts';
import { CniError } from '../../lib/cni/errors.ts';
import { ipamType } from '../../lib/cni/ipam.ts';
import { lookUp } from '../../lib/cni/json.ts';
import { parseResult, type Result } from '../../lib/cni/result.ts';
import type { IpvlanConf } from './config.ts';

/**
 * The parent that is configured, or the only interface of the plugin before this one.
 *
 * @returns '' for the default; undefined where the call does not tell: what CHECK gets is the result of ADD, and STATUS
 *   gets none
 * @throws CniError invalidNetworkConfig when the previous plugin made no interface, or several
 */
export function masterOf(call: Call<IpvlanConf>): string | undefined {
  if (call.conf.master !== '') {
    return call.conf.master;
  }
  if (call.verb !== 'ADD') {
    return undefined;
  }
  const previous = previousOf(call);
  if (previous === undefined) {
    return '';
  }
  const [name = ''] = previous.interfaces.map((one) => one.name);
  if (previous.interfaces.length !== 1 || name === '') {
    throw new CniError(
      'invalidNetworkConfig',
      `cannot choose a "master": none is configured, and prevResult has ${previous.interfaces.length} interfaces, not one with a name`,
    );
  }
  return name;
}

/**
 * Addresses and routes of the plugin before this one, which go over to the link where no IPAM plugin is configured.
 *
 * @throws CniError invalidNetworkConfig when there are none: nothing could reach the link
 */
export function inherited(call: Call<IpvlanConf>): Pick<Result, 'ips' | 'routes'> | undefined {
  const previous = previousOf(call); // one that cannot be read is refused in any case
  if (ipamType(call.document) !== '') {
    return undefined;
  }
  if (previous === undefined || previous.ips.length === 0) {
    throw withoutAddresses();
  }
  return previous;
}

/** Refuses a configuration with which no ADD could get addresses. */
export function demandAddresses(call: Call<IpvlanConf>): void {
  if (ipamType(call.document) === '' && !hasPrevious(call)) {
    throw withoutAddresses();
  }
}

const withoutAddresses = (): CniError =>
  new CniError(
    'invalidNetworkConfig',
    'cannot do without "ipam.type": frames find an ipvlan by its addresses, and there is no prevResult that has some',
  );

function hasPrevious({ document }: Call<IpvlanConf>): boolean {
  const value = lookUp(document, 'prevResult');
  return value !== undefined && value !== null;
}

function previousOf(call: Call<IpvlanConf>): Result | undefined {
  return hasPrevious(call) ? parseResult(lookUp(call.document, 'prevResult'), call.version, 'prevResult') : undefined;
}
