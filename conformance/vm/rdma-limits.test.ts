/** The plugin rdma where a device cannot be given to one pod. */
import { writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { execute, mustRun } from '../lab/execute.ts';
import { FAR_CARD } from './cards.ts';
import { Node } from './node.ts';
import { RdmaDevice, rdmaDevices, setRdmaMode } from './rdma.ts';
import { callRdma, failureOf, RdmaNode, stateOf, states, writeState } from './rdma-lab.ts';
import { SimulatedCard } from './simulated.ts';
import { Vfs } from './vfs.ts';

const OK = { exitCode: 0, stdout: '', stderr: '' };
const conf = {
  cniVersion: '1.1.0',
  name: 'blue',
  type: 'rdma',
  deviceID: FAR_CARD.pci,
  prevResult: { interfaces: [{ name: 'net1' }] },
};

it('in shared mode STATUS has code 50 and ADD fails, and both say how to change it', {
  tags: 'rdma/status',
}, async () => {
  await using lab = await RdmaNode.open(1);
  const before = await lab.picture();
  await setRdmaMode('shared');
  const pod = await lab.pod();
  const howTo = expect.stringMatching(/shared mode: run "rdma system set netns exclusive".*ib_core.netns_mode=0/);
  expect(await lab.fails({ verb: 'ADD', pod })).toEqual([999, howTo]);
  expect(await lab.fails({ verb: 'STATUS' })).toEqual([50, howTo]);
  writeState(stateOf(pod), lab.goState(0));
  expect(await lab.fails({ verb: 'CHECK', pod })).toEqual([999, howTo]);
  expect(await lab.call({ verb: 'DEL', pod })).toMatchObject(OK);
  expect(await lab.picture()).toEqual(before);
  await lab.node.remove(pod);
  await setRdmaMode('exclusive');
  expect(await lab.call({ verb: 'STATUS' })).toMatchObject(OK);
});

it('an InfiniBand interface is refused, since the kernel would make it anew', { tags: 'rdma/infiniband' }, async () => {
  await using node = Node.open();
  await using simulated = await SimulatedCard.open({ isInfiniband: true });
  await using vfs = await Vfs.make(1, { card: simulated.card, isCardUp: false });
  await node.ip(`link set ${FAR_CARD.link} up`);
  await using device = await RdmaDevice.make('rdma0', FAR_CARD.link);
  const pod = await node.pod();
  await node.ip(`link set ${vfs.at(0).link} netns ${pod.name} name net1`);
  const outcome = await callRdma(node, { verb: 'ADD', pod, conf });
  expect(failureOf(outcome)).toEqual([7, expect.stringContaining('use ib-sriov with "rdmaIsolation": true')]);
  expect([await rdmaDevices(), states()]).toEqual([[device.name], {}]);
  await node.remove(pod);
});

it('without the RDMA subsystem ADD and STATUS say what to load', async () => {
  await using node = Node.open();
  for (const module of ['rdma_rxe', 'rdma_ucm', 'rdma_cm', 'iw_cm', 'ib_cm', 'ib_umad', 'ib_uverbs', 'ib_core']) {
    await execute(['rmmod', module]);
  }
  const helper = '/proc/sys/kernel/modprobe';
  const usual = await mustRun(['cat', helper]);
  writeFileSync(helper, '/bin/false'); // the kernel would load them at once
  try {
    const pod = await node.pod();
    const whatToLoad = expect.stringContaining('load the module "ib_core"');
    expect(failureOf(await callRdma(node, { verb: 'STATUS', conf }))).toEqual([50, whatToLoad]);
    expect(failureOf(await callRdma(node, { verb: 'ADD', pod, conf }))).toEqual([999, whatToLoad]);
    writeState(stateOf(pod), '{"version":"1.0","deviceID":"x","sandboxRdmaDevName":"y","containerRdmaDevName":"y"}');
    expect(await callRdma(node, { verb: 'DEL', pod, conf })).toMatchObject(OK);
    expect(states()).toEqual({});
  } finally {
    writeFileSync(helper, usual);
  }
});
