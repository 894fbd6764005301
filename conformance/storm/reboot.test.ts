/** The node was started anew: records of before say what devices were in another life, and nothing of it is applied. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventually } from '../lab/eventually.ts';
import { PARENT } from '../lab/lab.ts';
import { batch } from '../lab/picture.ts';
import { linkOf, stateOf } from '../lab/state.ts';
import { ifNameOf } from './storm.ts';
import { type Container, deviceName, type Everything, interfacesIn, StormNode } from './storm-node.ts';

const BEFORE = '11111111-2222-3333-4444-555555555555';
const DEVICE = deviceName(0);

interface Recorded {
  readonly namespace: { readonly boot: string };
}

/** What is recorded stays, and is of an earlier run of the kernel. */
function rewriteBoot(node: StormNode): void {
  const names = readdirSync(node.records).filter((name) => !name.startsWith('.'));
  expect(names).not.toEqual([]);
  for (const name of names) {
    const file = join(node.records, name);
    const record = JSON.parse(readFileSync(file, 'utf8')) as Recorded;
    writeFileSync(file, JSON.stringify({ ...record, namespace: { ...record.namespace, boot: BEFORE } }));
  }
}

/** A boot takes pods and their networks, devices are on the node, and the administrator has set them up another way. */
async function reboot(node: StormNode, { pod, networks }: Container, name: string): Promise<void> {
  const inside = ifNameOf(networks.indexOf('d0'));
  rewriteBoot(node);
  await node.lab.ip(pod.name, `link set dev ${inside} netns ${node.lab.node} name ${name} alias today`);
  await node.lab.remove(pod);
  node.pods.splice(node.pods.indexOf(pod), 1);
  await batch(node.lab.node, [
    `link property add dev ${name} altname third-0`,
    `link set ${name} mtu 1300`,
    `link set ${name} up`,
    `addr add 10.70.0.2/24 dev ${name}`,
    `route add 10.71.0.0/24 via 10.70.0.1`,
  ]);
  await eventually(async () => /10\.71\.0\.0/.test(await node.lab.ip(node.lab.node, 'route')), true);
  await eventually(async () => linkOf(await stateOf(node.lab.node), PARENT)?.['promiscuity'], 0); // the old pod's macvlan is gone
}

type Today = Omit<Everything, 'cni' | 'records' | 'taken'>;

/** One pod that had a device, after a boot. */
async function rebooted(node: StormNode, name: string) {
  const old = await node.container('c1', ['d0', 'm0']);
  await node.must('ADD', old);
  await reboot(node, old, name);
  const next = await node.container('c2', ['d0', 'm0']);
  const today: Today = await node.everything();
  return { old, next, today };
}

const NOBODY = { more: { 'cni.dev/valid-attachments': [] }, netns: '' };

async function expectToday(node: StormNode, today: Today): Promise<void> {
  await node.expectAsBefore({ ...today, cni: [], records: [], taken: [] });
}

describe.concurrent('after a boot', () => {
  const names = [
    { name: DEVICE, what: 'the name that it had' },
    { name: 'uplink0', what: 'another name' },
  ];

  it.each(names)('DEL of the old pod leaves the device as it is today, under $what', async ({ name }) => {
    await using node = await StormNode.open(1);
    const { old, today } = await rebooted(node, name);
    await node.must('DEL', old, { netns: '' });
    await expectToday(node, today);
  });

  it.each(names)(
    'DEL whose path is another pod by now leaves that and the device alone, under $what',
    async ({ name }) => {
      await using node = await StormNode.open(1);
      const { old, next, today } = await rebooted(node, name);
      await node.must('DEL', old, { netns: next.pod.path });
      await expectToday(node, today);
    },
  );

  it.each(names)('GC leaves the device as it is today, under $what', async ({ name }) => {
    await using node = await StormNode.open(1);
    const { old, today } = await rebooted(node, name);
    await node.must('GC', old, NOBODY);
    await expectToday(node, today);
  });

  it('ADD of another pod takes the device as it is today, and its DEL makes it that again', async () => {
    await using node = await StormNode.open(1);
    const { next, old, today } = await rebooted(node, DEVICE);
    await node.must('ADD', next);
    expect(readdirSync(node.records).filter((record) => record.startsWith('c1'))).toEqual([]);
    await node.must('CHECK', next);
    await node.must('DEL', next);
    await node.must('DEL', old, { netns: '' });
    await expectToday(node, today);
  });

  it('GC of the old pod leaves the new one its device', async () => {
    await using node = await StormNode.open(1);
    const { next, old, today } = await rebooted(node, DEVICE);
    await node.must('ADD', next);
    await node.must('GC', old, {
      more: { 'cni.dev/valid-attachments': [{ containerID: 'c2', ifname: 'eth0' }] },
      netns: '',
    });
    expect(await interfacesIn(next.pod)).toEqual(expect.arrayContaining(['eth0', 'net1']));
    await node.must('CHECK', next);
    await node.must('GC', old, NOBODY);
    await expectToday(node, today);
  });

  it('ADD of another pod does not find by its old name what the administrator has renamed', async () => {
    await using node = await StormNode.open(1);
    const { next, old, today } = await rebooted(node, 'uplink0');
    expect(await node.fails('ADD', next)).toMatchObject({ code: 999, message: expect.stringContaining(DEVICE) });
    await node.must('DEL', old, { netns: '' });
    await expectToday(node, today);
  });
});
