import { type Mac, macOf } from '../net/mac.ts';

/** For tests: a hardware address that is written down there. */
export function mac(text: string): Mac {
  const read = macOf(text);
  if (read === undefined) {
    throw new TypeError(`"${text}" is no hardware address`);
  }
  return read;
}
