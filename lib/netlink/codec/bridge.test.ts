import { describe, expect, it } from 'vitest';
import { decodePort, differingPortSettings, encodePort, encodePortQuery } from './bridge.ts';

const bytes = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
const HEAD = '07000000 07000000 00000000 00000000';

describe('the codec of bridge ports', () => {
  it('asks for all of them with their VLANs', () => {
    expect(Buffer.concat(encodePortQuery())).toEqual(bytes('07000000 00000000 00000000 00000000 08001d00 04000000'));
  });

  it('reads settings and VLANs, ranges among them', () => {
    // isolated on; 1 untagged, 100 to 102, 200 as the one of what comes without a tag
    const vlans = '08000200 04000100 08000200 08006400 08000200 10006600 08000200 0200c800';
    const port = decodePort(bytes(`${HEAD} 0c000c80 05002100 01000000 24001a00 ${vlans}`));
    expect(port).toEqual({
      index: 7,
      settings: bytes('05002100 01000000'),
      vlans: [
        { id: 1, isPvid: false, isUntagged: true },
        { id: 100, isPvid: false, isUntagged: false },
        { id: 101, isPvid: false, isUntagged: false },
        { id: 102, isPvid: false, isUntagged: false },
        { id: 200, isPvid: true, isUntagged: false },
      ],
    });
  });

  it('reads a port without VLANs, as a kernel without them tells it', () => {
    expect(decodePort(bytes(`${HEAD} 0c000c80 05002100 01000000`)).vlans).toEqual([]);
  });

  it('asks for settings and for VLANs', () => {
    expect(Buffer.concat(encodePort(7, { settings: bytes('05002100 01000000') }))).toEqual(
      bytes(`${HEAD} 0c000c80 05002100 01000000`),
    );
    const vlans = [
      { id: 100, isPvid: true, isUntagged: true },
      { id: 200, isPvid: false, isUntagged: false },
    ];
    expect(Buffer.concat(encodePort(7, { vlans }))).toEqual(
      bytes(`${HEAD} 14001a00 08000200 06006400 08000200 0000c800`),
    );
  });

  it('compares what can be set, and not the state', () => {
    const was = bytes('05000100 03000000 05000400 01000000 05002100 01000000'); // state, hairpin, isolated
    const now = bytes('05000100 00000000 05000400 01000000 05002100 00000000');
    expect(differingPortSettings(was, now)).toEqual([{ name: 'isolated', setting: bytes('05002100 01000000') }]);
  });
});
