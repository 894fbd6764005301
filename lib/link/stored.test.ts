import { describe, expect, it } from 'vitest';
import { mac } from '../testing/mac.ts';
import type { Picture } from './picture.ts';
import { bytesAsText, PictureForm } from './stored.ts';

const NONE = Buffer.alloc(0);
const device: Picture['device'] = {
  ...{ index: 7, name: 'eth7', mac: mac('02:00:00:00:00:07'), permanentMac: '', mtu: 1500, kind: '' },
  ...{ isUp: true, isRunning: true, parentIndex: undefined, masterIndex: 3, slaveKind: 'bridge' },
  ...{ altNames: ['second'], alias: '', parentDev: '', flags: 1, txQueueLength: 1000 },
  ...{ group: 0, inetConf: Buffer.from([1, 2]), inet6Conf: NONE },
};
const kept = { index: 7, takenAt: 4711, addresses: [Buffer.from([3])], routes: [], rules: [] };

const readBack = (picture: object): unknown => PictureForm.parse(JSON.parse(JSON.stringify(picture, bytesAsText)));

describe('a picture on disk', () => {
  it('is read back as it was written, with its time and what a bridge keeps of a port', () => {
    const picture: Picture = { device, master: 'br0', port: Buffer.from([4, 5]), kept };
    expect(readBack(picture)).toEqual(picture);
  });

  it('of an older version says neither', () => {
    const { takenAt: _, ...older } = kept;
    const picture: Picture = { device, master: '', kept: older };
    const written = { ...picture, device: { ...device, someMode: 4 } }; // such a version told more of some kinds
    expect(readBack(written)).toEqual(picture);
  });

  it('is none when a hardware address is not one', () => {
    expect(() => readBack({ device: { ...device, mac: 'rubbish' }, master: '', kept })).toThrow();
  });
});
