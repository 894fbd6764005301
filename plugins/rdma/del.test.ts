import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { HOST, Lab, missing, noNetns, POD, VF } from './testing/lab.ts';

const STATE = 'blue-C1-net1';
const GO_STATE = `{"version":"1.0","deviceID":"${VF}","sandboxRdmaDevName":"mlx5_9","containerRdmaDevName":"mlx5_9"}`;

/** A lab whose pod has the device. */
async function attached(): Promise<Lab> {
  const lab = new Lab();
  await lab.must('ADD');
  lab.kernel.log.length = 0;
  return lab;
}

describe('DEL', () => {
  it('moves the device back and deletes the state; it is idempotent', async () => {
    using lab = await attached();
    expect(await lab.run('DEL')).toEqual({ stdout: '', stderr: '', exitCode: 0 });
    expect(lab.kernel.log.at(-1)).toBe(`move mlx5_9 ${POD} ${HOST}`);
    expect([lab.kernel.devices.get('mlx5_9'), lab.files]).toEqual([HOST, {}]);
    lab.kernel.log.length = 0;
    await lab.must('DEL');
    expect(lab.kernel.log).toEqual([]);
  });

  it('reads a state of the Go plugin', async () => {
    using lab = await attached();
    lab.writeState(STATE, GO_STATE);
    await lab.must('DEL');
    expect([lab.kernel.devices.get('mlx5_9'), lab.files]).toEqual([HOST, {}]);
  });

  it.each([
    ['nothing but name and folder', { deviceID: undefined, prevResult: undefined, type: undefined }],
    ['values of wrong types', { deviceID: 5, prevResult: 'x', args: 7, runtimeConfig: [], capabilities: 1 }],
    ['a device that is gone', { deviceID: '0000:09:00.0' }],
  ])('needs no more of the configuration: %s', async (_, more) => {
    using lab = await attached();
    await lab.must('DEL', lab.conf(more));
    expect([lab.kernel.devices.get('mlx5_9'), lab.files]).toEqual([HOST, {}]);
  });

  it.each([
    ['empty', undefined, { CNI_NETNS: '' }],
    ['missing', missing(POD), {}],
    ['no namespace any more', noNetns(POD), {}],
  ])('deletes the state when the namespace is %s: the kernel has returned the device', async (_, failure, env) => {
    using lab = await attached();
    if (failure !== undefined) {
      lab.broken.set(POD, failure);
    }
    lab.kernel.devices.set('mlx5_9', HOST);
    await lab.must('DEL', lab.conf(), env);
    expect(lab.files).toEqual({});
    expect(lab.kernel.log.filter((line) => line.startsWith('move'))).toEqual([]);
  });

  it('takes it back from the namespace that ADD recorded when CNI_NETNS is empty', async () => {
    using lab = await attached();
    await lab.must('DEL', lab.conf(), { CNI_NETNS: '' });
    expect([lab.kernel.devices.get('mlx5_9'), lab.files]).toEqual([HOST, {}]);
  });

  it('keeps the state when the namespace cannot be opened for another reason', async () => {
    using lab = await attached();
    lab.broken.set(POD, new Error('EMFILE'));
    expect(await lab.fails('DEL')).toEqual({ code: 999, msg: 'EMFILE' });
    expect(Object.keys(lab.files)).toEqual([STATE]);
  });

  it.each([
    ['on the host', HOST],
    ['in another pod', '/other'],
  ])('deletes the state of a device that is %s already', async (_, place) => {
    using lab = await attached();
    lab.kernel.devices.set('mlx5_9', place);
    await lab.must('DEL');
    expect([lab.kernel.devices.get('mlx5_9'), lab.files]).toEqual([place, {}]);
  });

  it('finds a device that the pod has renamed', async () => {
    using lab = await attached();
    lab.kernel.devices.delete('mlx5_9');
    lab.removeVerbs();
    lab.addRdma(VF, 'renamed', POD);
    await lab.must('DEL');
    expect([lab.kernel.devices.get('renamed'), lab.files]).toEqual([HOST, {}]);
  });

  it('finds it by the configuration when the state is broken', async () => {
    using lab = await attached();
    lab.writeState(STATE, '{"version":');
    await lab.must('DEL');
    expect([lab.kernel.devices.get('mlx5_9'), lab.files]).toEqual([HOST, {}]);
  });

  it.each([{ mode: 1 }, { isLoaded: false }])('succeeds where no device is in one namespace: %j', async (kernelHas) => {
    using lab = await attached();
    Object.assign(lab.kernel, kernelHas);
    await lab.must('DEL');
    expect(lab.files).toEqual({});
  });

  it('keeps the state of a device that cannot be moved back, and says why', async () => {
    using lab = await attached();
    lab.kernel.refuse = (what) => (what.startsWith('move') ? 16 : 0);
    expect(await lab.fails('DEL')).toEqual({
      code: 999,
      msg: 'cannot move RDMA device "mlx5_9" back to the host: EBUSY (device or resource busy)',
    });
    expect(Object.keys(lab.files)).toEqual([STATE]);
    lab.kernel.refuse = () => 0;
    await lab.must('DEL');
    expect([lab.kernel.devices.get('mlx5_9'), lab.files]).toEqual([HOST, {}]);
  });

  it('removes the temporary file of a killed ADD', async () => {
    using lab = new Lab();
    lab.writeState(`.${STATE}.tmp`, '{"ver');
    await lab.must('DEL');
    expect(lab.files).toEqual({});
  });

  it('does not fail because a file cannot be removed', async () => {
    using lab = new Lab();
    mkdirSync(join(lab.dataDir, STATE), { recursive: true });
    await lab.must('DEL');
    expect(lab.log).toContainEqual(expect.stringMatching(/^cannot remove ".*blue-C1-net1"/));
  });

  it('writes each step to stderr when told to', async () => {
    using lab = await attached();
    const conf = lab.conf({ args: { cni: { debug: true } } });
    await lab.must('DEL', conf);
    lab.writeState(STATE, GO_STATE);
    await lab.must('DEL', conf);
    expect(lab.log).toEqual([
      'rdma: move RDMA device "mlx5_9" back to the host',
      'rdma: RDMA device "mlx5_9" is no longer in the pod',
    ]);
  });

  it('leaves a device where it is when the pod is the host', async () => {
    using lab = new Lab();
    lab.aliases.add('/same');
    const env = { CNI_NETNS: '/same', CNI_NETNS_OVERRIDE: '1' };
    await lab.must('ADD', lab.conf(), env);
    await lab.must('DEL', lab.conf(), { CNI_NETNS: '/same' });
    expect([lab.kernel.devices.get('mlx5_9'), lab.files]).toEqual([HOST, {}]);
    expect(lab.kernel.log.filter((line) => line.startsWith('move'))).toEqual([]);
  });
});
