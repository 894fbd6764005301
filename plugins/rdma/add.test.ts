import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { VERSIONS } from '../../lib/cni/versions.ts';
import { parseState } from './state.ts';
import { HOST, Lab, missing, noNetns, PF, POD, VF } from './testing/lab.ts';

const STATE = 'blue-C1-net1';
const STATE_CONTENT =
  `{"version":"1.0","deviceID":"${VF}","sandboxRdmaDevName":"mlx5_9","containerRdmaDevName":"mlx5_9",` +
  `"braid":{"network":"blue","containerID":"C1","ifname":"net1","netns":"${POD}",` +
  `"namespace":{"boot":"this boot","inode":"${POD}"}}}`;

/** Nothing has been done. */
function expectUntouched(lab: Lab): void {
  expect(lab.kernel.devices.get('mlx5_9')).toBe(HOST);
  expect(lab.files).toEqual({});
}

describe('ADD', () => {
  it('moves the device into the pod, and prints the result as it was', async () => {
    using lab = new Lab();
    expect(await lab.must('ADD')).toEqual({
      cniVersion: '1.1.0',
      interfaces: [{ name: 'net1', mac: '02:00:00:00:00:99', sandbox: POD }],
      ips: [{ address: '192.0.2.9/24', interface: 0, gateway: '192.0.2.1' }],
    });
    expect(lab.kernel.devices.get('mlx5_9')).toBe(POD);
    expect(lab.files).toEqual({ [STATE]: STATE_CONTENT });
    expect(lab.log).toEqual([]);
  });

  it.each(VERSIONS)('prints it in version %s', async (cniVersion) => {
    using lab = new Lab();
    const isOld = ['0.1.0', '0.2.0'].includes(cniVersion);
    const ips = [{ ...(cniVersion < '1' ? { version: '4' } : {}), address: '192.0.2.9/24', interface: 0 }];
    const interfaces = [{ name: 'net1', sandbox: POD }];
    const routes = [{ dst: '198.51.100.0/24' }];
    const result = isOld
      ? { cniVersion, ip4: { ip: '192.0.2.9/24', routes }, dns: { nameservers: ['192.0.2.3'] } }
      : { cniVersion, interfaces, ips, routes, dns: { nameservers: ['192.0.2.3'] } };
    expect(await lab.must('ADD', lab.conf({ cniVersion, prevResult: result }))).toEqual(result);
    expect(lab.kernel.devices.get('mlx5_9')).toBe(POD);
  });

  it('writes the state before the device moves', async () => {
    using lab = new Lab();
    lab.kernel.refuse = (what) => {
      if (what.startsWith('move')) {
        expect(lab.files).toEqual({ [STATE]: STATE_CONTENT });
      }
      return 0;
    };
    await lab.must('ADD');
    expect(lab.kernel.log).toContain(`move mlx5_9 ${HOST} ${POD}`);
  });

  it('writes each step to stderr when told to', async () => {
    using lab = new Lab();
    await lab.must('ADD', lab.conf({ args: { cni: { debug: true } } }));
    expect(lab.log).toEqual([`rdma: write "${lab.dataDir}/${STATE}"`, 'rdma: move RDMA device "mlx5_9" into the pod']);
  });

  it.each(['Debug=true', 'MAC=02:00:00:00:00:01', 'a=b=c', ';'])('ignores CNI_ARGS "%s"', async (args) => {
    using lab = new Lab();
    await lab.must('ADD', lab.conf(), { CNI_ARGS: args });
    await lab.must('DEL', lab.conf(), { CNI_ARGS: args });
  });
});

describe('the device of an ADD', () => {
  it.each([
    ['deviceID', { deviceID: VF }],
    ['deviceID in another case', { deviceID: undefined, DeviceId: VF.toUpperCase() }],
    ['runtimeConfig.deviceID', { deviceID: '', runtimeConfig: { deviceID: VF } }],
    ['deviceID rather than the runtime', { runtimeConfig: { deviceID: '0000:01:10.0' } }],
  ])('is named by %s', async (_, more) => {
    using lab = new Lab();
    await lab.must('ADD', lab.conf(more));
    expect(parseState(lab.files[STATE] ?? '')).toMatchObject({ deviceId: VF, containerName: 'mlx5_9' });
  });

  it('is one of the auxiliary bus too', async () => {
    using lab = new Lab();
    lab.kernel.devices.set('mlx5_4', HOST);
    lab.sysfs([
      'devices/sf/mlx5_core.sf.7/infiniband/mlx5_4',
      'bus/auxiliary/devices/mlx5_core.sf.7 -> ../../../devices/sf/mlx5_core.sf.7',
    ]);
    await lab.must('ADD', lab.conf({ deviceID: 'mlx5_core.sf.7' }));
    expect(lab.kernel.devices.get('mlx5_4')).toBe(POD);
    await lab.must('DEL', lab.conf({ deviceID: 'mlx5_core.sf.7' }));
    expect(lab.kernel.devices.get('mlx5_4')).toBe(HOST);
  });

  it('is that of the only interface when none is named', async () => {
    using lab = new Lab();
    lab.links.set(`${POD} net1`, { parentDevName: VF });
    await lab.must('ADD', lab.conf({ deviceID: '' }));
    expect(lab.kernel.devices.get('mlx5_9')).toBe(POD);
  });

  it('is the VF with the mac of the only interface where the kernel does not report it', async () => {
    using lab = new Lab();
    await lab.must('ADD', lab.conf({ deviceID: '' }));
    expect(parseState(lab.files[STATE] ?? '')).toMatchObject({ deviceId: VF });
  });

  it.each([
    ['two interfaces', [{ name: 'host1' }, { name: 'net1', sandbox: POD }], 'prevResult has 2 interfaces'],
    ['no interface', [], 'prevResult has 0 interfaces'],
    ['no mac', [{ name: 'net1', sandbox: POD }], 'no VF has its mac ""'],
    ['another mac', [{ name: 'net1', mac: '02:00:00:00:00:01' }], 'no VF has its mac "02:00:00:00:00:01"'],
    ['no real mac', [{ name: 'net1', mac: '00:00:00:00:00:00' }], 'no VF has its mac'],
    ['no mac at all', [{ name: 'net1', mac: 'x' }], 'no VF has its mac "x"'],
  ])('must be named: %s', async (_, interfaces, why) => {
    using lab = new Lab();
    const { code, msg } = await lab.fails('ADD', lab.conf({ deviceID: '', prevResult: { interfaces } }));
    expect([code, msg]).toEqual([7, expect.stringContaining(why)]);
    expect(msg).toContain('"deviceID" is missing: multus passes it');
    expectUntouched(lab);
  });

  it('is not guessed when two VFs have the mac', async () => {
    using lab = new Lab();
    lab.links.set(`${HOST} eth0`, { vfMacs: ['02:00:00:00:00:99', '02:00:00:00:00:99'] });
    expect(await lab.fails('ADD', lab.conf({ deviceID: '' }))).toMatchObject({
      code: 7,
      msg: expect.stringContaining('2 VFs have the mac "02:00:00:00:00:99"'),
    });
  });

  it('is counted once when two ports of a PF report it', async () => {
    using lab = new Lab();
    lab.links.set(`${HOST} eth1`, { vfMacs: ['00:00:00:00:00:00', '02:00:00:00:00:99'] });
    lab.sysfs([
      `devices/pci0000:00/${PF}/net/eth1/device -> ../..`,
      `class/net/eth1 -> ../../devices/pci0000:00/${PF}/net/eth1`,
    ]);
    await lab.must('ADD', lab.conf({ deviceID: '' }));
  });
});

describe('an ADD that is repeated', () => {
  it('leaves a device in the pod that a killed ADD has moved', async () => {
    using lab = new Lab();
    await lab.must('ADD');
    expect(await lab.must('ADD')).toMatchObject({ interfaces: [{ name: 'net1' }] });
    expect(lab.kernel.log.filter((line) => line.startsWith('move'))).toHaveLength(1);
  });

  it('finds it by the state where ib_uverbs is not loaded', async () => {
    using lab = new Lab();
    await lab.must('ADD');
    lab.removeVerbs();
    lab.sysfs([`devices/pci0000:00/${VF}/infiniband_verbs`]);
    await lab.must('ADD');
    expect(lab.kernel.devices.get('mlx5_9')).toBe(POD);
  });

  it('moves a device whose state a killed ADD has written', async () => {
    using lab = new Lab();
    lab.writeState(STATE, STATE_CONTENT);
    await lab.must('ADD');
    expect(lab.kernel.devices.get('mlx5_9')).toBe(POD);
  });

  it('does not forget the device that the attachment has', async () => {
    using lab = new Lab();
    lab.addRdma('0000:01:10.0', 'mlx5_8');
    await lab.must('ADD');
    expect(await lab.fails('ADD', lab.conf({ deviceID: '0000:01:10.0' }))).toMatchObject({
      code: 999,
      msg: expect.stringContaining('this attachment already has "mlx5_9"'),
    });
    expect(lab.files[STATE]).toBe(STATE_CONTENT);
    expect(lab.kernel.devices.get('mlx5_8')).toBe(HOST);
  });

  it('for another pod fails with code 11 while the first has the device', async () => {
    using lab = new Lab();
    await lab.must('ADD');
    const other = { CNI_CONTAINERID: 'C2', CNI_NETNS: '/other' };
    expect(await lab.fails('ADD', lab.conf(), other)).toMatchObject({
      code: 11,
      msg: expect.stringContaining('it is in another network namespace'),
    });
    expect(Object.keys(lab.files)).toEqual([STATE]);
  });
});

describe('an ADD that is refused does nothing', () => {
  it.each<readonly [string, object, number, string]>([
    ['not in a list', { prevResult: undefined }, 7, '"prevResult" is missing: put it into a plugin list, after'],
    ['a prevResult that is none', { prevResult: { ips: 5 } }, 7, 'cannot read "prevResult.ips"'],
    ['one of another family', { prevResult: { cniVersion: '0.4.0' } }, 999, 'does not match 1.1.0'],
    ['a prevResult without address in an old version', { cniVersion: '0.2.0', prevResult: {} }, 999, 'no valid IP'],
    ['a path for a device', { deviceID: '../../../etc' }, 7, 'cannot use "deviceID" "../../../etc"'],
    ['a device that is not there', { deviceID: '0000:09:00.0' }, 7, 'cannot find "deviceID" "0000:09:00.0"'],
    ['a device of a wrong type', { deviceID: 5 }, 7, 'cannot use "deviceID": 5 is not a string'],
    ['a relative folder', { dataDir: 'states' }, 7, 'cannot use "dataDir" "states"'],
    ['a device without RDMA', { deviceID: '0000:01:10.0' }, 7, 'its driver "vfio-pci" is a userspace driver'],
    ['a PF without driver', { deviceID: PF }, 7, 'no driver is bound to it'],
  ])('%s', async (_, more, code, message) => {
    using lab = new Lab();
    expect(await lab.fails('ADD', lab.conf(more))).toEqual({ code, msg: expect.stringContaining(message) });
    expectUntouched(lab);
  });

  it.each([
    ['shared mode', { mode: 1 }, 'the RDMA subsystem is in shared mode: run "rdma system set netns exclusive"'],
    ['a kernel before 5.3', { mode: undefined }, 'Linux 5.3'],
    ['no RDMA', { isLoaded: false }, 'the RDMA subsystem is not loaded'],
  ])('%s', async (_, kernelHas, message) => {
    using lab = new Lab();
    Object.assign(lab.kernel, kernelHas);
    expect(await lab.fails('ADD')).toEqual({ code: 999, msg: expect.stringContaining(message) });
    expectUntouched(lab);
  });

  it('two RDMA devices', async () => {
    using lab = new Lab();
    lab.addRdma(VF, 'mlx5_8');
    expect(await lab.fails('ADD')).toMatchObject({ code: 7, msg: expect.stringContaining('"mlx5_8", "mlx5_9"') });
    expectUntouched(lab);
  });

  it('an InfiniBand interface, which the kernel would delete', async () => {
    using lab = new Lab();
    lab.links.set(`${POD} net1`, { address: Buffer.alloc(20, 1) });
    expect(await lab.fails('ADD')).toMatchObject({ code: 7, msg: expect.stringContaining('use ib-sriov') });
    expectUntouched(lab);
  });

  it.each([
    ['missing', missing(POD), 999],
    ['not a namespace', noNetns(POD), 8],
  ])('a namespace that is %s', async (_, failure, code) => {
    using lab = new Lab();
    lab.broken.set(POD, failure);
    expect(await lab.fails('ADD')).toMatchObject({ code, msg: expect.stringContaining(`"${POD}"`) });
    expectUntouched(lab);
  });
});

describe('each step of ADD that fails leaves nothing', () => {
  it.each([
    ['the question for the mode', 'mode', 'cannot read the mode of the RDMA subsystem: ENOMEM'],
    ['the list of the host', `list ${HOST}`, 'cannot list RDMA devices: ENOMEM'],
    ['the list of the pod', `list ${POD}`, 'cannot list RDMA devices: ENOMEM'],
    ['the move', 'move', 'cannot move RDMA device "mlx5_9" into the pod: ENOMEM (cannot allocate memory)'],
  ])('%s', async (_, what, message) => {
    using lab = new Lab();
    lab.kernel.refuse = (request) => (request.startsWith(what) ? 12 : 0);
    expect(await lab.fails('ADD')).toEqual({ code: 999, msg: expect.stringContaining(message) });
    lab.kernel.refuse = () => 0;
    expectUntouched(lab);
  });

  it('the write of the state', async () => {
    using lab = new Lab();
    writeFileSync(lab.dataDir, '');
    expect(await lab.fails('ADD')).toMatchObject({ code: 5, msg: expect.stringContaining(lab.dataDir) });
    expect(lab.kernel.devices.get('mlx5_9')).toBe(HOST);
    expect(lab.kernel.log.filter((line) => line.startsWith('move'))).toEqual([]);
  });

  it('a driver that cannot disassociate its devices', async () => {
    using lab = new Lab();
    lab.kernel.refuse = (request) => (request.startsWith('move') ? 95 : 0);
    const { msg } = await lab.fails('ADD');
    expect(msg).toMatch(/EOPNOTSUPP.*its driver cannot disassociate it from programs/);
    expectUntouched(lab);
  });

  it('a move whose answer is lost is checked, and was done', { tags: 'rdma/add-lost' }, async () => {
    using lab = new Lab();
    lab.kernel.lostAnswers = 1;
    await lab.must('ADD');
    expect(lab.kernel.devices.get('mlx5_9')).toBe(POD);
    await lab.must('DEL');
    expectUntouched(lab);
  });

  it.each([241, 255, 300])('a container ID of %i characters, for which DEL has nothing to do', async (length) => {
    using lab = new Lab();
    const env = { CNI_CONTAINERID: 'c'.repeat(length) };
    expect(await lab.fails('ADD', lab.conf(), env)).toMatchObject({
      code: 4,
      msg: expect.stringContaining('CNI_CONTAINERID'),
    });
    await lab.must('DEL', lab.conf(), env);
    expectUntouched(lab);
  });

  it('a move that the kernel does not answer is undone', async () => {
    using lab = new Lab();
    lab.kernel.lostAnswers = 1;
    lab.kernel.refuse = (request) => (request.startsWith('move') && lab.kernel.lostAnswers === 0 ? 12 : 0);
    const undoing = lab.kernel.log.length;
    expect(await lab.fails('ADD')).toMatchObject({ msg: expect.stringContaining('ENOMEM') });
    expect(lab.kernel.log.slice(undoing)).toContain(`move mlx5_9 ${POD} ${HOST}`);
  });

  it('what cannot be undone stays recorded for DEL', async () => {
    using lab = new Lab();
    lab.kernel.lostAnswers = 1;
    lab.kernel.refuse = (request) => {
      const isRepeated = lab.kernel.lostAnswers === 0 && request === `move mlx5_9 ${HOST} ${POD}`;
      return isRepeated ? 12 : request === `move mlx5_9 ${POD} ${HOST}` ? 16 : 0;
    };
    await lab.fails('ADD');
    expect(lab.log).toEqual([expect.stringMatching(/^cannot undo \(take RDMA device "mlx5_9" back\): .*EBUSY/)]);
    expect(lab.files).toEqual({ [STATE]: STATE_CONTENT });
    lab.kernel.refuse = () => 0;
    await lab.must('DEL');
    expectUntouched(lab);
  });
});
