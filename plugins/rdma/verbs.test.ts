import { describe, expect, it } from 'vitest';
import { HOST, Lab, missing, PF, POD, VF } from './testing/lab.ts';

const goState = (name: string): string =>
  `{"version":"1.0","deviceID":"${VF}","sandboxRdmaDevName":"${name}","containerRdmaDevName":"${name}"}`;

describe('VERSION', () => {
  it('names every version', async () => {
    using lab = new Lab();
    expect(await lab.must('VERSION')).toMatchObject({ cniVersion: '1.1.0', supportedVersions: { length: 7 } });
  });

  it('says what it is without CNI_COMMAND', { tags: 'rdma/about' }, async () => {
    using lab = new Lab();
    const told = expect.stringContaining('rdma: moves the RDMA device');
    expect(await lab.run('VERSION', {}, { CNI_COMMAND: '' })).toMatchObject({ exitCode: 0, stdout: '', stderr: told });
  });
});

describe('CHECK', () => {
  it.each(['0.4.0', '1.0.0', '1.1.0'])('passes when the pod has its device, in version %s', async (cniVersion) => {
    using lab = new Lab();
    const conf = lab.conf({ cniVersion, prevResult: { interfaces: [{ name: 'net1', sandbox: POD }] } });
    await lab.must('ADD', conf);
    expect(await lab.run('CHECK', conf)).toEqual({ stdout: '', stderr: '', exitCode: 0 });
  });

  it('passes for a device moved by the Go plugin, and one renamed by the pod', async () => {
    using lab = new Lab();
    await lab.must('ADD');
    lab.writeState('blue-C1-net1', goState('mlx5_9'));
    await lab.must('CHECK');
    lab.kernel.devices.delete('mlx5_9');
    lab.removeVerbs();
    lab.addRdma(VF, 'renamed', POD);
    await lab.must('CHECK');
  });

  it.each<readonly [string, (lab: Lab) => void, string]>([
    ['is on the host', (lab) => lab.kernel.devices.set('mlx5_9', HOST), 'is not in the container: it is on the host'],
    ['is elsewhere', (lab) => lab.kernel.devices.set('mlx5_9', '/x'), 'RDMA device "mlx5_9" is not in the container'],
    ['is shared', (lab) => Object.assign(lab.kernel, { mode: 1 }), 'the RDMA subsystem is in shared mode'],
    ['has no namespace', (lab) => lab.broken.set(POD, missing(POD)), 'no such file or directory'],
  ])('fails when the device %s', async (_, change, message) => {
    using lab = new Lab();
    await lab.must('ADD');
    change(lab);
    expect(await lab.fails('CHECK')).toEqual({ code: 999, msg: expect.stringContaining(message) });
  });

  it('fails without a state, or without a previous result', async () => {
    using lab = new Lab();
    expect(await lab.fails('CHECK')).toMatchObject({ msg: expect.stringContaining('the attachment has no state') });
    await lab.must('ADD');
    expect(await lab.fails('CHECK', lab.conf({ prevResult: undefined }))).toMatchObject({ code: 7 });
    expect(await lab.fails('CHECK', lab.conf({ prevResult: { ips: 1 } }))).toMatchObject({ code: 7 });
  });
});

describe('STATUS', () => {
  it('is well in exclusive mode', async () => {
    using lab = new Lab();
    expect(await lab.run('STATUS')).toEqual({ stdout: '', stderr: '', exitCode: 0 });
  });

  it.each([
    [{ mode: 1 }, 'rdma system set netns exclusive'],
    [{ mode: undefined }, 'Linux 5.3'],
    [{ isLoaded: false }, 'load the module "ib_core"'],
    [{ refuse: () => 12 }, 'ENOMEM'],
  ])('has code 50 and says what to do: %j', async (kernelHas, message) => {
    using lab = new Lab();
    Object.assign(lab.kernel, kernelHas);
    expect(await lab.fails('STATUS')).toEqual({ code: 50, msg: expect.stringContaining(message) });
  });

  it('refuses a configuration that ADD would refuse', async () => {
    using lab = new Lab();
    expect(await lab.fails('STATUS', lab.conf({ dataDir: 'x' }))).toMatchObject({ code: 7 });
  });
});

describe('GC', () => {
  const valid = (...attachments: readonly (readonly [string, string])[]): object => ({
    'cni.dev/valid-attachments': attachments.map(([containerID, ifname]) => ({ containerID, ifname })),
  });
  const gc = (lab: Lab, more: object): Promise<unknown> => lab.must('GC', lab.conf({ prevResult: undefined, ...more }));

  /** A lab with an attachment. */
  async function attached(): Promise<Lab> {
    const lab = new Lab();
    await lab.must('ADD');
    return lab;
  }

  it('moves back devices without a valid attachment', async () => {
    using lab = await attached();
    await gc(lab, valid(['C1', 'net1']));
    expect(lab.kernel.devices.get('mlx5_9')).toBe(POD);
    await gc(lab, valid(['C1', 'net2'], ['C2', 'net1']));
    expect([lab.kernel.devices.get('mlx5_9'), lab.files]).toEqual([HOST, {}]);
  });

  it('collects all when none is valid, and nothing without a list of valid ones', async () => {
    using lab = await attached();
    await gc(lab, {});
    expect(lab.kernel.devices.get('mlx5_9')).toBe(POD);
    await gc(lab, valid());
    expect([lab.kernel.devices.get('mlx5_9'), lab.files]).toEqual([HOST, {}]);
  });

  it('leaves other networks alone, also those whose name begins alike', async () => {
    using lab = await attached();
    await gc(lab, { name: 'red', ...valid() });
    await gc(lab, { name: 'blue-C1', ...valid() });
    expect([lab.kernel.devices.get('mlx5_9'), Object.keys(lab.files)]).toEqual([POD, ['blue-C1-net1']]);
    lab.addRdma('0000:01:10.0', 'mlx5_8');
    await lab.must('ADD', lab.conf({ name: 'blue-x', deviceID: '0000:01:10.0' }));
    await gc(lab, { name: 'blue', ...valid(['C1', 'net1']) });
    expect(Object.keys(lab.files)).toEqual(['blue-C1-net1', 'blue-x-C1-net1']);
  });

  it('deletes states whose namespace is gone', async () => {
    using lab = await attached();
    lab.broken.set(POD, missing(POD));
    await gc(lab, valid());
    expect(lab.files).toEqual({});
  });

  it('takes nothing from the pod that has the device now', async () => {
    using lab = await attached();
    const other = lab.files['blue-C1-net1']?.replace('"C1"', '"C2"') ?? '';
    lab.writeState('blue-C2-net1', other);
    await gc(lab, valid(['C2', 'net1']));
    expect([lab.kernel.devices.get('mlx5_9'), Object.keys(lab.files)]).toEqual([POD, ['blue-C2-net1']]);
  });

  it('reports failures, and continues', async () => {
    using lab = await attached();
    const gone = lab.files['blue-C1-net1']?.replace('C1', 'C9').replaceAll('mlx5_9', 'gone').replace(VF, PF) ?? '';
    lab.writeState('blue-C9-net1', gone);
    lab.kernel.refuse = (what) => (what.startsWith('move mlx5_9') ? 16 : 0);
    const { msg } = await lab.fails('GC', lab.conf(valid()));
    expect(msg).toContain('cannot move RDMA device "mlx5_9" back to the host: EBUSY');
    expect(Object.keys(lab.files)).toEqual(['blue-C1-net1']);
  });

  it('deletes files of the Go plugin when their device is on the host, or when they are empty', async () => {
    using lab = new Lab();
    lab.writeState('blue-C1-net1', goState('mlx5_9'));
    lab.writeState('blue-C2-net1', goState('mlx5_8'));
    lab.writeState('blue-C3-net1', goState('mlx5_9'));
    lab.writeState('blue-C4-net1', '{');
    lab.writeState('red-C1-net1', goState('mlx5_9'));
    await gc(lab, valid(['C3', 'net1']));
    expect(Object.keys(lab.files)).toEqual(['blue-C2-net1', 'blue-C3-net1', 'red-C1-net1']);
    expect(lab.log).toEqual([
      expect.stringMatching(/^cannot read record ".*blue-C4-net1"/),
      expect.stringMatching(/^cannot collect ".*blue-C2-net1": the device is not on the host/),
    ]);
  });
});
