/** Go's `unicode.IsSpace`; JavaScript's `\s` misses U+0085 and adds U+FEFF. */
const SPACE = /[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/u;

/** Kernel limit: IFNAMSIZ less its final NUL. */
const MAX_BYTES = 15;

/**
 * What is wrong with an interface name.
 *
 * @returns a phrase for an error message, or undefined when the name is valid
 */
export function ifNameFault(name: string): string | undefined {
  if (name === '') {
    return 'is empty';
  }
  if (Buffer.byteLength(name) > MAX_BYTES) {
    return `is longer than ${MAX_BYTES} bytes`;
  }
  if (name === '.' || name === '..') {
    return 'is "." or ".."';
  }
  if (/[/:]/.test(name) || SPACE.test(name)) {
    return 'contains "/", ":" or white space';
  }
  if (name.includes('%')) {
    return 'contains "%", which the kernel takes as a name pattern';
  }
  return undefined;
}
