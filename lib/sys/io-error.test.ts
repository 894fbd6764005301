import { describe, expect, it } from 'vitest';
import { ioError, isMissing, isShortage } from './io-error.ts';

const errorOf = (code: string): Error => Object.assign(new Error(`${code}: text, open`), { code });

describe('an error of the system', () => {
  it.each(['ENOENT', 'ENAMETOOLONG'])('proves absence when it is %s', (code) => {
    expect(isMissing(errorOf(code))).toBe(true);
  });

  it.each(['EIO', 'EMFILE', 'EACCES', 'ENOTDIR', 'ELOOP', 'EISDIR', 'ESTALE'])(
    'proves no absence when it is %s',
    (code) => {
      expect(isMissing(errorOf(code))).toBe(false);
    },
  );

  it.each(['EMFILE', 'ENFILE', 'ENOMEM'])('may pass when it is %s, also as the cause of another', (code) => {
    expect(isShortage(errorOf(code))).toBe(true);
    expect(isShortage(ioError('read', '/x', errorOf(code)))).toBe(true);
  });

  it('does not pass when it is another, or none', () => {
    expect(isShortage(ioError('read', '/x', errorOf('EIO')))).toBe(false);
    expect(isShortage('text')).toBe(false);
    expect(isShortage(new SyntaxError('x', { cause: null }))).toBe(false);
  });
});
