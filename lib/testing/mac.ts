import { type Mac, macOf } from '../net/mac.ts';

/** For tests: a literal hardware address. */
export function mac(text: string): Mac {
  const read = macOf(text);
  if (read === undefined) {
    throw new TypeError(`"${text}" is not a hardware address`);
  }
  return read;
}
