import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../sys/testing/temporary.ts';
import { NodeView } from './node-view.ts';
import { makeSampleNode, sampleKernel } from './testing/sample-node.ts';

const PF = '0000:01:00.0';
const [VF, OTHER] = ['0000:01:10.0', '0000:01:10.2'];

function lab(root: string) {
  makeSampleNode(root);
  const view = new NodeView(root);
  const pathOf = (path: string): string => join(root, 'sys/devices/pci0000:00', path);
  const look = (changes?: readonly string[], kernel = sampleKernel()) => {
    const { devices } = view.look(kernel, changes && new Set(changes));
    return (id: string) => devices.find((one) => one.id === id);
  };
  return { look, pathOf };
}

describe('what a node has', () => {
  it('is read again for devices that have changed, and for no other', () => {
    using folder = temporaryFolder();
    const { look, pathOf } = lab(folder.path);
    expect(look()(VF)?.netdev).toBe('eth0v0');
    for (const [id, name, next] of [
      [VF, 'eth0v0', 'a'],
      [OTHER, 'eth0v1', 'b'],
    ]) {
      renameSync(pathOf(`${id}/net/${name}`), pathOf(`${id}/net/${next}`));
    }
    const changed = look([VF]);
    expect([changed(VF)?.netdev, changed(OTHER)?.netdev]).toEqual(['a', 'eth0v1']);
    expect(look([])(OTHER)?.netdev).toBe('eth0v1');
    expect(look()(OTHER)?.netdev).toBe('b');
  });

  it('is read again for the functions of a card that has changed', () => {
    using folder = temporaryFolder();
    const { look, pathOf } = lab(folder.path);
    expect(look()(VF)?.pfName).toBe('eth0');
    renameSync(pathOf(`${PF}/net/eth0`), pathOf(`${PF}/net/ens1`));
    expect(look([OTHER])(VF)?.pfName).toBe('eth0');
    expect(look([PF])(VF)?.pfName).toBe('ens1');
  });

  it('shows a card in switchdev mode by its uplink as soon as the mode has changed', () => {
    using folder = temporaryFolder();
    const { look, pathOf } = lab(folder.path);
    expect(look()(VF)?.pfName).toBe('eth0');
    const switchdev = sampleKernel({ eswitchModes: new Map([[PF, 'switchdev']]) });
    mkdirSync(pathOf(`${PF}/net/aaa`));
    expect(look([], switchdev)(VF)?.pfName).toBe('');
    expect(look([], sampleKernel())(VF)?.pfName).toBe('aaa');
  });

  it('has new devices and loses old ones without being told', () => {
    using folder = temporaryFolder();
    const { look } = lab(folder.path);
    const path = join(folder.path, 'sys/bus/pci/devices', VF);
    look();
    renameSync(path, `${folder.path}/away`);
    expect(look([])(VF)).toBeUndefined();
    renameSync(`${folder.path}/away`, path);
    expect(look([])(VF)?.id).toBe(VF);
  });

  it('tries again what could not be used', () => {
    using folder = temporaryFolder();
    const { look, pathOf } = lab(folder.path);
    const driver = pathOf(`${VF}/driver`);
    renameSync(driver, `${driver}.away`);
    expect(look()(VF)).toBeUndefined();
    renameSync(`${driver}.away`, driver);
    expect(look([])(VF)?.driver).toBe('igbvf');
    rmSync(driver);
    expect(look([])(VF)?.driver).toBe('igbvf');
    expect(look([VF])(VF)).toBeUndefined();
  });
});
