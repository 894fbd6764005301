/** Devices that a real kubelet hands out, in one cluster: it takes long to come up. */
import { afterAll, afterEach, beforeAll, describe, vi } from 'vitest';
import { testChangingDevices } from './changing-devices.ts';
import { testInContainers } from './in-containers.ts';
import { VfLab } from './lab.ts';
import { testNodeLife } from './node-life.ts';
import { testPodsWithVfs } from './pods-with-vfs.ts';

vi.setConfig({ testTimeout: 900_000 }); // an emulated machine beside others

let lab: VfLab;

beforeAll(async () => {
  lab = await VfLab.open();
});

/** One failure is one failure. */
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') {
    await lab.restore();
  }
});

afterAll(() => lab?.[Symbol.asyncDispose]());

describe('pods', () => testPodsWithVfs(() => lab));
describe('changes', () => testChangingDevices(() => lab));
describe('a node', () => testNodeLife(() => lab));
describe('device plugins in containers', () => testInContainers(() => lab));
