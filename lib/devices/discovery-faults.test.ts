/** Devices that vanish while they are read: at every step of reading. */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../sys/testing/temporary.ts';
import { NodeView } from './node-view.ts';
import { rdmaFilesIn } from './rdma-files.ts';
import { makeSampleNode, sampleKernel } from './testing/sample-node.ts';

const READS = ['readdirSync', 'readFileSync', 'readlinkSync', 'statSync', 'existsSync'] as const;
const DEVICE = 'sys/devices/pci0000:00';

/**
 * Does something just before one of the reads that some work makes.
 *
 * @returns whether it came to that
 */
function before(step: number, happens: () => void, work: () => void): boolean {
  const real = Object.fromEntries(READS.map((name) => [name, fs[name]]));
  let reads = 0;
  const wrap =
    (read: (...args: unknown[]) => unknown) =>
    (...args: unknown[]): unknown => {
      if (reads++ === step) {
        happens();
      }
      return read(...args);
    };
  try {
    Object.assign(fs, Object.fromEntries(READS.map((name) => [name, wrap(fs[name] as never)])));
    syncBuiltinESMExports();
    work();
    return reads > step;
  } finally {
    Object.assign(fs, real);
    syncBuiltinESMExports();
  }
}

describe.each([
  ['a function', '0000:01:10.0', [] as readonly string[]],
  ['a card with functions', '0000:03:00.0', ['0000:03:00.1', '0000:03:00.2']],
  ['a card with a scalable function', '0000:04:00.0', ['mlx5_core.sf.4']],
])('%s that vanishes while sysfs is read', (_, id, parts) => {
  it('is missing, at whichever step, and nothing else is', () => {
    using folder = temporaryFolder(true);
    const { path } = folder;
    makeSampleNode(path);
    const all = new NodeView(path).look(sampleKernel()).devices.map((one) => one.id);
    const others = all.filter((one) => one !== id && !parts.includes(one));
    const [place, away] = [join(path, DEVICE, id), join(path, 'away')];
    let step = 0;
    for (let wasReached = true; wasReached; step++) {
      const view = new NodeView(path);
      wasReached = before(
        step,
        () => fs.renameSync(place, away),
        () => {
          const { devices } = view.look(sampleKernel());
          expect(devices.map((one) => one.id)).toEqual(expect.arrayContaining(others));
          rdmaFilesIn(path);
        },
      );
      if (wasReached) {
        const seen = view.look(sampleKernel()).devices.map((one) => one.id);
        expect([step, seen]).toEqual([step, others]);
        fs.renameSync(away, place);
      }
      expect([step, view.look(sampleKernel()).devices.map((one) => one.id)]).toEqual([step, all]);
    }
    expect(step).toBeGreaterThan(100);
  });
});
