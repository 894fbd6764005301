/** CNI error codes by name: spec "Error", and those that only implementations use. */
export const CODES = {
  incompatibleVersion: 1,
  unsupportedField: 2,
  unknownContainer: 3,
  badEnv: 4,
  ioFailure: 5,
  decodeFailure: 6,
  invalidNetworkConfig: 7,
  invalidNetns: 8,
  tryAgainLater: 11,
  notAvailable: 50,
  limitedConnectivity: 51,
  internal: 999,
} as const;

export type CodeWord = keyof typeof CODES;

interface Extra {
  readonly details?: string;
  readonly cause?: unknown;
}

/**
 * An error that the runtime sees unchanged. Message: lower case, no full stop, action first, names quoted, colon,
 * cause. A numeric code is that of another program.
 */
export class CniError extends Error {
  readonly code: number;
  readonly details: string | undefined;

  constructor(code: CodeWord | number, message: string, extra: Extra = {}) {
    super(message, { cause: extra.cause });
    this.name = 'CniError';
    this.code = typeof code === 'number' ? code : CODES[code];
    this.details = extra.details;
  }
}

/** The same error with a prefix; the code stays. */
export function withPrefix(prefix: string, error: unknown): CniError {
  const known = asCniError(error);
  return new CniError(known.code, `${prefix}: ${known.message}`, {
    ...(known.details === undefined ? {} : { details: known.details }),
    cause: error,
  });
}

/** Any thrown value as the error to print: other than a CniError it gets code 999. */
export function asCniError(error: unknown): CniError {
  return error instanceof CniError ? error : new CniError('internal', messageOf(error), { cause: error });
}

const LONGEST_MESSAGE = 4000;
const LONGEST_VALUE = 400;

/**
 * Bounds the length of a text: of one that quotes something endless, the beginning and the end stay, which say what was
 * tried and why it failed.
 */
export function bounded(text: string, longest = LONGEST_MESSAGE): string {
  if (text.length <= longest) {
    return text;
  }
  const kept = Math.floor(longest / 2);
  const [head = '', tail = ''] = [text.slice(0, kept), text.slice(-kept)].map((part) => part.toWellFormed());
  return `${head}… (${text.length} characters) …${tail}`;
}

/** A value of a document, quoted for a message. */
export const quoted = (value: unknown): string =>
  typeof value === 'number' && !Number.isFinite(value)
    ? 'a number out of range'
    : bounded(JSON.stringify(value) ?? 'nothing', LONGEST_VALUE);

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Combines errors into one with the code of the first; undefined when there is none. */
export function combineErrors(errors: readonly unknown[], separator = '; '): CniError | undefined {
  const [first] = errors;
  if (errors.length === 0) {
    return undefined;
  }
  return errors.length === 1
    ? asCniError(first)
    : new CniError(asCniError(first).code, errors.map(messageOf).join(separator), {
        cause: new AggregateError(errors),
      });
}

/**
 * Runs every step in order, whatever fails before it.
 *
 * @throws CniError with all failures
 */
export async function runAll(steps: readonly (() => void | Promise<void>)[]): Promise<void> {
  const errors: unknown[] = [];
  for (const step of steps) {
    try {
      await step();
    } catch (error) {
      errors.push(error);
    }
  }
  const failure = combineErrors(errors);
  if (failure !== undefined) {
    throw failure;
  }
}
