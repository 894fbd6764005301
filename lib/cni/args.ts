import { isMulticastMac, parseMac } from '../net/mac.ts';
import { rememberingTexts } from '../sys/remember.ts';
import { CniError, quoted } from './errors.ts';

const UNKNOWN_SWITCH = 'IgnoreUnknown';

/**
 * Reads CNI_ARGS: `K=V;K=V`, nothing trimmed, the last of equal keys wins.
 *
 * @param known keys of the plugin besides IgnoreUnknown; case-sensitive
 * @throws CniError badEnv when a pair is malformed, or when keys are unknown and IgnoreUnknown is not on
 */
export function parseCniArgs(text: string, known: readonly string[]): Readonly<Record<string, string>> {
  const args: Record<string, string> = {};
  const unknown: string[] = [];
  let ignoreUnknown = false;
  for (const [key, value] of pairsOf(text)) {
    if (key === UNKNOWN_SWITCH) {
      ignoreUnknown = switchOf(value);
    } else if (known.includes(key)) {
      args[key] = value;
    } else {
      unknown.push(`${key}=${value}`);
    }
  }
  if (unknown.length > 0 && !ignoreUnknown) {
    throw new CniError('badEnv', `cannot use CNI_ARGS: unknown arguments ${JSON.stringify(unknown)}`);
  }
  return args;
}

const ETHERNET_BYTES = 6;

/**
 * The hardware address in CNI_ARGS, as written; '' for none.
 *
 * @throws CniError badEnv when no link can have it: the configuration is not at fault
 */
export function macIn(args: Readonly<Record<string, string>>): string {
  const text = args['MAC'] ?? '';
  const bytes = parseMac(text);
  if (text !== '' && bytes?.length !== ETHERNET_BYTES) {
    throw badArg('MAC', text, 'is not an Ethernet address');
  }
  if (bytes !== undefined && (isMulticastMac(bytes) || bytes.every((byte) => byte === 0))) {
    throw badArg('MAC', text, 'is not an address that one link can have');
  }
  return text;
}

/**
 * The name of a pod or of its namespace in CNI_ARGS; '' for none.
 *
 * @throws CniError badEnv when it has a "/": pods are identified by `namespace/name`, which must be unambiguous
 */
export function nameIn(args: Readonly<Record<string, string>>, key: string): string {
  const text = args[key] ?? '';
  if (text.includes('/')) {
    throw badArg(key, text, 'is not a name, it has a "/"');
  }
  return text;
}

/** The error for a bad value in CNI_ARGS. */
export const badArg = (key: string, value: string, fault: string): CniError =>
  new CniError('badEnv', `cannot use ${key} of CNI_ARGS: ${quoted(value)} ${fault}`);

/** @throws CniError badEnv when a part is not `key=value` with exactly one "=" */
export const pairsOf = rememberingTexts((text): readonly (readonly [string, string])[] => {
  if (text === '') {
    return [];
  }
  return text.split(';').map((part) => {
    const pieces = part.split('=');
    const [key, value] = pieces;
    if (pieces.length !== 2 || key === undefined || value === undefined) {
      throw new CniError('badEnv', `cannot use CNI_ARGS: invalid pair "${part}"`);
    }
    return [key, value] as const;
  });
});

function switchOf(value: string): boolean {
  const word = value.toLowerCase();
  if (['1', 'true'].includes(word)) {
    return true;
  }
  if (['0', 'false'].includes(word)) {
    return false;
  }
  throw new CniError('badEnv', `cannot use CNI_ARGS: ${UNKNOWN_SWITCH}="${value}" is not a boolean`);
}
