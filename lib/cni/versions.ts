import { CniError } from './errors.ts';

/** Every spec version that the plugins support. */
export const VERSIONS = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;
export type Version = (typeof VERSIONS)[number];

export const NEWEST: Version = '1.1.0';

export type ResultFamily = '0.1' | '0.3' | '1.0';

export const isVersion = (text: string): text is Version => (VERSIONS as readonly string[]).includes(text);

/** Which of the three result shapes this version has. */
export function familyOf(version: Version): ResultFamily {
  return version < '0.3.0' ? '0.1' : version < '1.0.0' ? '0.3' : '1.0';
}

/**
 * Compares versions as numbers: one to three dotted integers, missing parts are 0, empty is 0.1.0.
 *
 * @throws CniError decodeFailure when a text is not such a version
 */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [partsOf(a), partsOf(b)];
  return left[0] - right[0] || left[1] - right[1] || left[2] - right[2];
}

export const atLeast = (version: string, limit: Version): boolean => compareVersions(version, limit) >= 0;

function partsOf(version: string): readonly [number, number, number] {
  const match = /^(\d+)(?:\.(\d+))?(?:\.(\d+))?$/.exec(version === '' ? '0.1.0' : version);
  if (match === null) {
    throw new CniError('decodeFailure', `cannot read cniVersion "${version}": not one to three dotted numbers`);
  }
  return [Number(match[1]), Number(match[2] ?? 0), Number(match[3] ?? 0)];
}
