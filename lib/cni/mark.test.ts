import { describe, expect, it } from 'vitest';
import { isMark, markOf } from './mark.ts';

const HOST = { identity: '4:4026531840' };

describe('markOf', () => {
  it('names node, container and interface', () => {
    const mark = markOf({ containerId: 'c1', ifName: 'net1' }, HOST);
    expect(mark).toBe('braid 4026531840 c1 net1');
    expect(['', 'eth0', 'braided', mark].filter(isMark)).toEqual([mark]);
  });

  it('has room in an alias, and tells long container IDs apart', () => {
    const longest = 'c'.repeat(255 - markOf({ containerId: '', ifName: 'net1' }, HOST).length);
    expect(markOf({ containerId: longest, ifName: 'net1' }, HOST)).toMatch(/c net1$/);
    const marks = ['1', '2'].flatMap((end) =>
      ['net1', 'net2'].map((ifName) => markOf({ containerId: `${longest}${end}`, ifName }, HOST)),
    );
    expect(new Set(marks).size).toBe(4);
    expect(marks.map((mark) => Buffer.byteLength(mark))).toEqual([255, 255, 255, 255]);
  });
});
