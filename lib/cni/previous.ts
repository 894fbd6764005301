import type { AttachmentCall } from './call.ts';
import { CniError } from './errors.ts';
import { lookUp } from './json.ts';
import { type Interface, parseResult, type Result } from './result.ts';
import { familyOf } from './versions.ts';

/**
 * The result of ADD passed to CHECK.
 *
 * @throws CniError invalidNetworkConfig when there is none; internal when its version differs from the call's
 */
export function previousResult(call: AttachmentCall<unknown>): Result {
  const value = lookUp(call.document, 'prevResult');
  if (value === undefined || value === null) {
    throw new CniError('invalidNetworkConfig', 'cannot check the interface: "prevResult" is missing');
  }
  const { version, ...previous } = parseResult(value, call.version, 'prevResult');
  if (familyOf(version) !== familyOf(call.version)) {
    throw new CniError('internal', `cannot use prevResult: its cniVersion ${version} does not match ${call.version}`);
  }
  return previous;
}

/**
 * The attachment's own interface in that result; the last if there are several.
 *
 * @throws CniError internal
 */
export function ownInterface(previous: Result, call: AttachmentCall<unknown>): Interface {
  const own = previous.interfaces.findLast(({ name, sandbox }) => name === call.ifName && sandbox === call.netnsPath);
  if (own === undefined) {
    throw checkFailed(`prevResult has no interface "${call.ifName}" with sandbox "${call.netnsPath}"`);
  }
  return own;
}

/** The part of the result about that interface: without addresses of other interfaces. */
export function ownPart(previous: Result, own: Interface): Result {
  const index = previous.interfaces.indexOf(own);
  return { ...previous, ips: previous.ips.filter((ip) => (ip.interface ?? index) === index) };
}

/** The error for a difference that CHECK found. */
export const checkFailed = (message: string): CniError => new CniError('internal', `check failed: ${message}`);
