import { describe, expect, it } from 'vitest';
import { readStatics } from './statics.ts';

describe('readStatics', () => {
  it('gives the configured ones first, then those of CNI_ARGS, host bits kept', () => {
    expect(
      readStatics(
        [
          { address: '010.1.1.5/24', gateway: '10.1.1.1' },
          { address: 'fd00::5/64', gateway: '' },
        ],
        { IP: '10.2.2.2/16, fd00:1::7/64' },
        '1.0.0',
      ),
    ).toEqual([
      { address: '10.1.1.5/24', gateway: '10.1.1.1' },
      { address: 'fd00::5/64' },
      { address: '10.2.2.2/16' },
      { address: 'fd00:1::7/64' },
    ]);
  });

  it('sets GATEWAY on every one whose subnet holds it, over its own', () => {
    const addresses = [
      { address: '10.1.1.5/24', gateway: '10.1.1.1' },
      { address: '10.1.2.5/24', gateway: '10.1.2.1' },
    ];
    expect(readStatics(addresses, { IP: '10.1.1.6/24', GATEWAY: '10.1.1.254,fd00::1' }, '1.0.0')).toEqual([
      { address: '10.1.1.5/24', gateway: '10.1.1.254' },
      { address: '10.1.2.5/24', gateway: '10.1.2.1' },
      { address: '10.1.1.6/24', gateway: '10.1.1.254' },
    ]);
  });

  it.each([
    [
      [{ address: '10.1.1.5', gateway: '' }],
      {},
      7,
      'cannot use "ipam.addresses[0].address" "10.1.1.5": invalid CIDR address',
    ],
    [
      [{ address: '10.1.1.5/8', gateway: '01.1.1.1' }],
      {},
      7,
      'cannot use "ipam.addresses[0].gateway" "01.1.1.1": it is not an IP address',
    ],
    [[], { IP: '10.1.1.5' }, 4, 'cannot use IP of CNI_ARGS: "10.1.1.5" is not a CIDR address'],
    [[], { GATEWAY: 'x' }, 4, 'cannot use GATEWAY of CNI_ARGS: "x" is not an IP address'],
  ])('refuses %o with %o', (addresses, args, code, message) => {
    expect(() => readStatics(addresses, args as Record<string, string>, '1.0.0')).toThrow(
      expect.objectContaining({ code, message }),
    );
  });

  it('refuses two of a family where the result has room for one', () => {
    const read = (version: '0.2.0' | '0.3.0', text: string) => readStatics([], { IP: text }, version);
    expect(() => read('0.2.0', '10.1.1.5/24,10.1.1.6/24')).toThrow(
      expect.objectContaining({
        code: 7,
        message: 'cannot use "ipam.addresses": CNI version 0.2.0 does not support more than 1 address per family',
      }),
    );
    expect(read('0.2.0', '10.1.1.5/24,fd00::1/64')).toHaveLength(2);
    expect(read('0.3.0', '10.1.1.5/24,10.1.1.6/24')).toHaveLength(2);
  });
});
