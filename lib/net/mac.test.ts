import { describe, expect, it } from 'vitest';
import { ethernetMacFault, formatMac, type Mac, macBytes, macOf, parseMac, randomMac } from './mac.ts';

describe('a hardware address', () => {
  it.each([
    ['02:AA:00:00:00:07', '02:aa:00:00:00:07'],
    ['02-aa-00-00-00-07', '02:aa:00:00:00:07'],
    ['02aa.0000.0007', '02:aa:00:00:00:07'],
    ['02aa00000007', '02:aa:00:00:00:07'],
    ['02:00:5e:10:00:00:00:01', '02:00:5e:10:00:00:00:01'],
  ])('written as %s is %s', (text, form) => {
    expect(macOf(text)).toBe(form);
    expect(macBytes(form as Mac)).toEqual(parseMac(text));
  });

  it.each(['', 'rubbish', '02:aa:00:00:00', '02:aa-00:00:00:07', '2:aa:0:0:0:7', '02:aa:00:00:00:07 '])(
    'is not what "%s" is',
    (text) => {
      expect(macOf(text)).toBeUndefined();
    },
  );

  it('is a type that no other text is of', () => {
    // @ts-expect-error nobody has read this one
    expect(macBytes('rubbish')).toHaveLength(0);
  });

  it.each([
    ['02:aa:00:00:00:07', undefined],
    ['01:00:5e:00:00:01', 'is a multicast address'],
    ['ff:ff:ff:ff:ff:ff', 'is a multicast address'],
    ['00:00:00:00:00:00', 'is all zero'],
    ['02:00:5e:10:00:00:00:01', 'is not an Ethernet address'],
    ['rubbish', 'is not an Ethernet address'],
  ])('%s can be that of an Ethernet link, or it is said why not', (text, fault) => {
    expect(ethernetMacFault(parseMac(text))).toBe(fault);
  });

  it('made at random is one that an Ethernet link can have, locally administered', () => {
    const bytes = randomMac();
    expect(ethernetMacFault(bytes)).toBeUndefined();
    expect(formatMac(bytes)).toMatch(/^.[26ae]:/);
  });
});
