/** NAME_MAX in bytes, on every usual file system. */
const LONGEST_NAME = 255;

/** The hidden name of a file while `writeAtomically` writes it. */
export const temporaryNameOf = (name: string): string => `.${name}.tmp`;

/** The longest name that `writeAtomically` can write, in bytes. */
export const LONGEST_WRITABLE = LONGEST_NAME - temporaryNameOf('').length;

/** Whether a name is too long for `writeAtomically`. Other programs may still have written it. */
export const isTooLong = (name: string): boolean => Buffer.byteLength(name) > LONGEST_WRITABLE;
