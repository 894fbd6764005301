/** braid doctor: each finding made real on a node, and none on a node that is well. */
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PARENT, type Pod } from '../lab/lab.ts';
import { databaseIn } from '../lab/store.ts';
import { BraidNode, OUTER } from './lab.ts';

interface Finding {
  readonly level: 'fault' | 'warning';
  readonly text: string;
  readonly fix: string;
}

const onNode = (test: (node: BraidNode) => Promise<void>) => async () => {
  await using node = await BraidNode.open();
  await node.braid(`install --bin ${node.bin} --form script`);
  writeFileSync(join(node.bin, 'loopback'), '', { mode: 0o755 });
  node.configure(node.network('blue'));
  await test(node);
};

async function examine(node: BraidNode): Promise<readonly Finding[]> {
  const outcome = await node.about(`doctor --cri none --bin ${node.bin}`, '--json');
  const findings = JSON.parse(outcome.stdout) as readonly Finding[];
  expect(outcome.exitCode).toBe(findings.some(({ level }) => level === 'fault') ? 1 : 0);
  return findings;
}

/** Examines a node after something was done to it. */
async function expectFound(node: BraidNode, level: Finding['level'], text: RegExp, fix: RegExp): Promise<void> {
  const findings = await examine(node);
  expect(findings).toContainEqual({ level, text: expect.stringMatching(text), fix: expect.stringMatching(fix) });
}

describe('braid doctor', () => {
  it(
    'finds nothing on a node that is well, with pods on it',
    onNode(async (node) => {
      expect(await node.cnitool('add', await node.pod())).toMatchObject({ exitCode: 0 });
      expect(await examine(node)).toEqual([]);
      const { stdout } = await node.about(`doctor --cri none --bin ${node.bin}`);
      expect(stdout).toBe('no problems found (no Kubernetes runtime, 1 configured plugin, 1 recorded container)\n');
    }),
  );

  it(
    'finds a parent that is missing, down, without carrier, or enslaved',
    onNode(async (node) => {
      await node.lab.ip(node.lab.node, 'link set par-peer down');
      await expectFound(node, 'fault', /^link "par" has no carrier/, /cable/);
      await node.lab.ip(node.lab.node, `link set ${PARENT} down`);
      await expectFound(node, 'fault', /^link "par" is down/, /ip link set par up/);
      await node.lab.ip(node.lab.node, 'link add br0 type bridge');
      await node.lab.ip(node.lab.node, `link set ${PARENT} master br0`);
      await expectFound(node, 'fault', /^network "blue" cannot have parent "par": it is enslaved/, /"master"/);
      await node.lab.ip(node.lab.node, `link del ${PARENT}`);
      await expectFound(node, 'fault', /^network "blue": cannot find "master" "par"/, /correct/);
    }),
  );

  it(
    'finds an MTU that gets smaller on the way down',
    onNode(async (node) => {
      await node.lab.ip(node.lab.node, 'link add br0 type bridge');
      await node.lab.ip(node.lab.node, `link set ${PARENT} master br0`);
      await node.lab.ip(node.lab.node, 'link set br0 up');
      node.configure(node.network('blue', {}, { master: 'br0' }));
      expect(await examine(node)).toEqual([]);
      await node.lab.ip(node.lab.node, 'link set br0 mtu 9000');
      await expectFound(
        node,
        'fault',
        /"br0" has MTU 9000, but "par" below it has 1500: larger/,
        /ip link set par mtu 9000/,
      );
      node.configure(node.network('blue', {}, { master: 'br0', mtu: 9001 }));
      await expectFound(node, 'fault', /asks for MTU 9001, but its parent "br0" has 9000/, /leave "mtu" out/);
    }),
  );

  it(
    'finds two interfaces of a pod in one subnet whose settings do not fit, and the settings that do',
    onNode(async (node) => {
      const red = node.network('red');
      node.configure(node.multus([node.network('blue'), red], { binDir: node.bin }));
      const pod = await node.pod();
      for (const name of ['all', 'default']) {
        await node.lab.sysctl(pod.name, `net/ipv4/conf/${name}/rp_filter`, '1');
      }
      expect(await node.cnitool('add', pod)).toMatchObject({ exitCode: 0 });
      await expectFound(
        node,
        'fault',
        new RegExp(`"eth0" and "net1" in subnet ${node.net}.0/24 and strict rp_filter`),
        /rp_filter=2/,
      );
      await expectFound(node, 'warning', /answers ARP for each on both/, /net1.arp_ignore=1.*eth0.arp_announce=2/);
      for (const [key, value] of [
        ['rp_filter', 2],
        ['arp_ignore', 1],
        ['arp_announce', 2],
      ] as const) {
        await node.lab.sysctl(pod.name, `net/ipv4/conf/${OUTER}/${key}`, String(value));
        await node.lab.sysctl(pod.name, `net/ipv4/conf/net1/${key}`, String(value));
      }
      expect(await examine(node)).toEqual([]);
    }),
  );

  it(
    'finds plugins that are missing or of several builds, and files that cannot be read',
    onNode(async (node) => {
      rmSync(join(node.bin, 'loopback'));
      expect(await examine(node)).toEqual([]); // only a runtime of Kubernetes needs it
      rmSync(join(node.bin, 'whereabouts'));
      await expectFound(node, 'fault', /^plugin "whereabouts" is configured, but missing in/, /braid install/);
      await node.braid(`install --bin ${node.bin} --form script`);
      rmSync(join(node.bin, 'rdma'));
      writeFileSync(join(node.bin, 'rdma'), `${' '.repeat(99)}\n${`//#braid-${'0'.repeat(32)}`.padEnd(46)}\n`);
      await expectFound(node, 'warning', /come from 2 builds.*slow/, /braid install/);
      writeFileSync(join(node.confDir, '99-broken.conf'), '{');
      await expectFound(node, 'fault', /^cannot read configuration ".*99-broken.conf"/, /move it away/);
    }),
  );

  it(
    'finds records of dead pods, damaged stores and full pools',
    onNode(async (node) => {
      node.configure(node.network('blue', { range: `${node.net}.0/29` }));
      const pod = await node.pod();
      expect(await node.cnitool('add', pod)).toMatchObject({ exitCode: 0 });
      const store = node.whereabouts({ range: `${node.net}.0/29` });
      for (const id of ['a', 'b', 'c', 'd', 'e']) {
        await store.add(id);
      }
      await expectFound(node, 'fault', new RegExp(`^pool "${node.net}.0-29" is full: all 6`), /ipam check/);
      await node.lab.remove(pod as Pod);
      await expectFound(node, 'warning', /^1 container that is gone still has records/, /braid gc/);
      rmSync(`${databaseIn(node.store)}-wal`);
      await expectFound(node, 'fault', /^cannot trust the store/, /ipam check --repair/);
    }),
  );

  it(
    'finds a disk that cannot be written',
    onNode(async (node) => {
      mkdirSync(node.store, { recursive: true });
      await node.lab.makeReadOnly(node.store);
      await expectFound(node, 'fault', /no address can be given/, /remount/);
      await node.lab.makeWritable(node.store);
      expect(await examine(node)).toEqual([]);
    }),
  );

  it(
    'finds a device that is not there, and one that a dead pod has left under its name',
    onNode(async (node) => {
      node.configure(node.hostDevice());
      expect(await examine(node)).toEqual([]);
      await node.lab.ip(node.lab.node, `link set ${PARENT} down`);
      await node.lab.ip(node.lab.node, `link set ${PARENT} name net1 alias ${PARENT}`);
      await expectFound(node, 'fault', /^network "node" wants .*"par".*neither on the node nor in a pod/, /ip link/);
      await expectFound(node, 'warning', /^link "net1" was named "par" before/, /ip link set net1 name par/);
    }),
  );

  it(
    'finds PFs without VFs, VFs without a driver, and an IOMMU that is off, where VFs are asked for',
    onNode(async (node) => {
      node.sysfs = node.lab.folder('sys');
      const pf = join(node.sysfs, 'bus/pci/devices/0000:65:00.0');
      const vf = join(node.sysfs, 'bus/pci/devices/0000:65:00.1');
      const sriov = { type: 'sriov', deviceID: '0000:65:00.1', dataDir: join(node.lab.dir, 'vfs') };
      node.configure({ cniVersion: '1.1.0', name: 'fast', plugins: [sriov] });
      await expectFound(node, 'fault', /no NIC of this node supports SR-IOV/, /firmware/);
      mkdirSync(join(pf, `net/${PARENT}`), { recursive: true });
      writeFileSync(join(pf, 'sriov_totalvfs'), '8\n');
      writeFileSync(join(pf, 'sriov_numvfs'), '0\n');
      await expectFound(node, 'warning', /^PF "par" \(0000:65:00.0\) has no VFs \(8 are possible/, /sriov_numvfs/);
      writeFileSync(join(pf, 'sriov_numvfs'), '1\n');
      mkdirSync(vf);
      symlinkSync('../0000:65:00.1', join(pf, 'virtfn0'));
      await expectFound(node, 'warning', /^1 of 1 VFs of PF "par" have no driver/, /bind/);
      symlinkSync('../../../../bus/pci/drivers/vfio-pci', join(vf, 'driver'));
      await expectFound(node, 'fault', /the IOMMU is off/, /intel_iommu=on/);
      mkdirSync(join(node.sysfs, 'class/iommu/dmar0'), { recursive: true });
      expect(await examine(node)).toEqual([]);
      mkdirSync(join(node.lab.dir, 'vfs/pci'), { recursive: true });
      writeFileSync(join(node.lab.dir, 'vfs/pci/0000:65:00.1'), '/run/netns/gone');
      await expectFound(node, 'warning', /^VF 0000:65:00.1 is allocated to a pod that is gone/, /rm/);
    }),
  );

  it(
    'finds what multus waits for',
    onNode(async (node) => {
      const file = join(node.lab.dir, 'ready');
      node.configure(node.multus([node.network('blue')], { readinessindicatorfile: file, binDir: '/no/such/bin' }));
      await expectFound(node, 'fault', /waits 45 s/, /log/);
      await expectFound(node, 'warning', /"binDir" of multus is "\/no\/such\/bin"/, /braid install --bin/);
      writeFileSync(file, '');
      node.configure(node.multus([node.network('blue')], { readinessindicatorfile: file, binDir: node.bin }));
      expect(await examine(node)).toEqual([]);
    }),
  );

  it(
    'finds that multus cannot ask the cluster',
    onNode(async (node) => {
      const kubeconfig = join(node.lab.dir, 'kubeconfig');
      node.configure(node.multus([node.network('blue')], { kubeconfig, binDir: node.bin }));
      await expectFound(node, 'fault', /which is not there: no pod gets its networks/, /install --multus/);
      writeFileSync(kubeconfig, '');
      expect(await examine(node)).toEqual([]);
    }),
  );

  it(
    'finds that a runtime which is named does not answer',
    onNode(async (node) => {
      const outcome = await node.about(`doctor --bin ${node.bin} --cri /no/such/socket`);
      expect(outcome).toMatchObject({ exitCode: 1, stdout: expect.stringContaining('no such socket') });
    }),
  );
});
