import { describe, expect, it } from 'vitest';
import { linkFault } from '../../lib/link/link.ts';
import { factsOf } from '../../lib/link/observe.ts';
import { encodeLink } from '../../lib/netlink/codec/link.ts';
import { MACVLAN, type MacvlanAttributes } from './kind.ts';

const hex = (attributes: MacvlanAttributes): string => Buffer.concat(MACVLAN.encode(attributes)).toString('hex');

/** What the kernel says of a link of this kind. */
const told = (data: string) =>
  factsOf(
    Buffer.concat(
      encodeLink({ index: 7 }, { ifName: 'net1', linkInfo: { kind: 'macvlan', data: Buffer.from(data, 'hex') } }),
    ),
  );

describe('the kind macvlan', () => {
  it.each([
    [{ mode: 'bridge', bcQueueLen: 0 }, '08000100' + '04000000'],
    [{ mode: 'passthru', bcQueueLen: 0 }, '08000100' + '08000000'],
    [{ mode: 'private', bcQueueLen: 5000 }, '08000100' + '01000000' + '08000700' + '88130000'],
  ] as const)('is asked for with %j', (attributes, bytes) => {
    expect(hex(attributes)).toBe(bytes);
  });

  it('is compared by its mode', () => {
    const wanted = {
      kind: MACVLAN,
      attributes: { mode: 'vepa', bcQueueLen: 7 },
      mac: undefined,
      mtu: undefined,
    } as const;
    expect(linkFault(told('0800010002000000' + '06000200' + '00000000'), wanted)).toBeUndefined();
    expect(linkFault(told('0800010004000000'), wanted)).toBe('does not have mode "vepa"');
    expect(linkFault(told('0800010010000000'), wanted)).toBe('does not have mode "vepa"'); // source: nobody can ask for it
    expect(linkFault(told(''), wanted)).toBe('does not have mode "vepa"');
  });
});
