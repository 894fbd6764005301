import { describe, expect, it } from 'vitest';
import { recordName, refuseLongRecord } from './record-name.ts';

describe('the name of a record', () => {
  it('is what there is of network, container and interface', () => {
    expect(recordName({ containerId: 'C1' })).toBe('C1');
    expect(recordName({ containerId: 'C1', ifName: 'eth0' })).toBe('C1-eth0');
    expect(recordName({ network: 'lan', containerId: 'C1', ifName: 'eth0' })).toBe('lan-C1-eth0');
  });

  it('leaves room for the name of the temporary file', () => {
    expect(() => refuseLongRecord({ containerId: 'c'.repeat(250) })).not.toThrow();
    expect(() => refuseLongRecord({ network: 'lan', containerId: 'c'.repeat(241), ifName: 'eth0' })).not.toThrow();
  });

  it.each([
    [
      { containerId: 'c'.repeat(251) },
      4,
      /^cannot use CNI_CONTAINERID "c{251}": it is too long: .* 251 bytes, at most 250/,
    ],
    [{ network: 'lan', containerId: 'c'.repeat(242), ifName: 'eth0' }, 4, /CNI_CONTAINERID/],
    [
      { network: 'n'.repeat(200), containerId: 'c'.repeat(64), ifName: 'eth0' },
      7,
      /^cannot use the network name "n{200}"/,
    ],
  ] as const)('is refused when it is longer', (owner, code, message) => {
    expect(() => refuseLongRecord(owner)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });
});
