import { describe, expect, it } from 'vitest';
import { type Facts, planMove } from './plan.ts';

const ours = { index: 3, name: 'mlx5_9' };
const facts = (more: Partial<Facts> = {}): Facts => ({
  deviceId: '0000:65:02.3',
  driver: 'mlx5_core',
  isUserspace: false,
  visible: ['mlx5_9'],
  hidden: [],
  onHost: [{ index: 1, name: 'mlx5_0' }, ours],
  inPod: [],
  ...more,
});

describe('planMove', () => {
  it('takes the one device that the host shows', () => {
    expect(planMove(facts())).toEqual({ device: ours, isInPod: false });
    expect(planMove(facts({ hidden: ['mlx5_9', 'mlx5_8'] }))).toEqual({ device: ours, isInPod: false });
  });

  it('finds it in the pod, where a killed ADD has moved it', () => {
    const moved = { visible: [], hidden: ['mlx5_9'], onHost: [], inPod: [{ index: 7, name: 'mlx5_1' }, ours] };
    expect(planMove(facts(moved))).toEqual({ device: ours, isInPod: true });
  });

  it.each([
    ['no driver', { driver: '' }, 'no driver is bound to it'],
    ['a userspace driver', { driver: 'vfio-pci', isUserspace: true }, 'its driver "vfio-pci" is a userspace driver'],
    ['a driver we know', {}, 'its driver "mlx5_core" has created none: load the module "mlx5_ib"'],
    ['another driver', { driver: 'igbvf' }, `its driver "igbvf" has created none: load the driver's RDMA module`],
  ])('says what to do when there is none: %s', (_, more, message) => {
    expect(() => planMove(facts({ visible: [], ...more }))).toThrow(
      expect.objectContaining({
        code: 7,
        message: expect.stringContaining(`cannot find an RDMA device of "0000:65:02.3": ${message}`),
      }),
    );
  });

  it('does not choose between several', () => {
    expect(() => planMove(facts({ visible: ['mlx5_8', 'mlx5_9'] }))).toThrow(
      expect.objectContaining({ code: 7, message: expect.stringContaining('it has "mlx5_8", "mlx5_9", and only one') }),
    );
  });

  it.each([
    ['not seen on the host at all', { visible: [], hidden: ['mlx5_9'] }],
    ['seen in sysfs only', {}],
  ])('asks to try again later when a third namespace has it: %s', (_, more) => {
    expect(() => planMove(facts({ onHost: [], ...more }))).toThrow(
      expect.objectContaining({ code: 11, message: expect.stringContaining('it is in another network namespace') }),
    );
  });
});
