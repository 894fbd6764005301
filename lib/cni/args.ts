import { CniError } from './errors.ts';

const UNKNOWN_SWITCH = 'IgnoreUnknown';

/**
 * Reads CNI_ARGS: `K=V;K=V`, nothing trimmed, the last of equal keys wins.
 *
 * @param known the keys that the plugin knows, besides IgnoreUnknown; they are case-sensitive
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

/** @throws CniError badEnv when a part is not `key=value` with exactly one "=" */
export function pairsOf(text: string): readonly (readonly [string, string])[] {
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
}

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
