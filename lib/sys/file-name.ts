/** NAME_MAX, in bytes: that of every file system that records are kept on. */
const LONGEST_NAME = 255;

/** The hidden name that a file has while `writeAtomically` writes it. */
export const temporaryNameOf = (name: string): string => `.${name}.tmp`;

/** The longest name that `writeAtomically` can write, in bytes. */
export const LONGEST_WRITABLE = LONGEST_NAME - temporaryNameOf('').length;

/** Is a name too long for `writeAtomically`? Other programs may have written it all the same. */
export const isTooLong = (name: string): boolean => Buffer.byteLength(name) > LONGEST_WRITABLE;
