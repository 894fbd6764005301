import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SHARED } from '../../contract/differences.ts';
import { answer, fake, RECORD, recorded, recordedVerbs } from '../../lab/fakes.ts';
import { Lab, PARENT } from '../../lab/lab.ts';
import { GO, OURS, type Side, STANDALONE } from '../../lab/programs.ts';
import { SEED } from '../../lab/random.ts';
import { linkOf, stateOf } from '../../lab/state.ts';
import { Comparing } from '../../peers/peer-testing.ts';
import { DIFFERENCES as STATIC } from '../static/differences.ts';
import { macvlanCases } from './cases.ts';
import { DIFFERENCES } from './differences.ts';
import { randomMacvlanCases } from './random.ts';

const comparing = new Comparing('macvlan', DIFFERENCES, STATIC);

comparing.cases('macvlan does what the Go plugin does:', macvlanCases());
comparing.cases(`macvlan does what the Go plugin does, at random (BRAID_SEED=${SEED}):`, randomMacvlanCases());
comparing.meets([...DIFFERENCES, ...SHARED]);

const conf = (more: object) => ({ cniVersion: '1.0.0', name: 'net-a', type: 'macvlan', master: PARENT, ...more });

describe.each([OURS, GO])('macvlan of $name', (side) => {
  const isOurs = side.name === 'ours';

  it('makes the hardware address itself', { tags: 'macvlan/mac-random' }, async () => {
    await using lab = await Lab.open();
    const pod = await lab.pod();
    await lab.call({ verb: 'ADD', plugin: 'macvlan', conf: conf({}), netns: pod.path }, side);
    const kind = await lab.run(['cat', '/sys/class/net/net1/addr_assign_type'], {}, pod.name);
    const mac = String(linkOf(await stateOf(pod.name), 'net1')?.['address']);
    expect(kind.trim()).toBe(isOurs ? '3' : '1'); // NET_ADDR_SET, NET_ADDR_RANDOM
    expect(Number.parseInt(mac.slice(0, 2), 16) & 3).toBe(2); // locally administered, not multicast
  });

  it('waits until an IPv6 address without gateway can be used', { tags: 'macvlan/dad' }, async () => {
    await using lab = await Lab.open();
    const pod = await lab.pod({ detectsDuplicates: true });
    const ipam = { type: 'static', addresses: [{ address: 'fd00::3/64' }] };
    await lab.call({ verb: 'ADD', plugin: 'macvlan', conf: conf({ ipam }), netns: pod.path }, side);
    const text = await lab.ip(pod.name, 'addr show dev net1');
    expect(text.includes('tentative')).toBe(!isOurs);
  });

  it('has the link up before it asks dhcp', { tags: 'macvlan/dhcp-up' }, async () => {
    await using lab = await Lab.open();
    const pod = await lab.pod();
    const result = { cniVersion: '1.0.0', ips: [{ address: '10.1.2.3/24' }] };
    const look = `[ "$CNI_COMMAND" = ADD ] && ip -n ${pod.name} link show net1 > "$PWD/seen"`;
    const path = [fake(lab, 'dhcp', `${look}\n${answer(result)}`), ...side.path];
    await lab.call(
      { verb: 'ADD', plugin: 'macvlan', conf: conf({ ipam: { type: 'dhcp' } }), netns: pod.path, path },
      side,
    );
    expect(readFileSync(join(lab.dir, 'seen'), 'utf8').includes('UP')).toBe(isOurs);
  });
});

describe('what an IPAM plugin gets', () => {
  const document = ` {"type":"macvlan" , "master":"${PARENT}","name":"net-a","cniVersion":"1.1.0", "ipam":{"type":"fake","x":1.50,"é":"<&>"},"unknown":[ 1e3 ]}\n`;

  async function callsOf(side: Side): Promise<readonly string[]> {
    await using lab = await Lab.open();
    const pod = await lab.pod();
    const result = { cniVersion: '1.1.0', ips: [{ address: '10.1.2.3/24' }] };
    const path = [
      fake(lab, 'fake', `${RECORD}\n${answer(result)}`),
      ...(side.name === 'ours' ? [STANDALONE] : [GO.bin]),
    ];
    for (const verb of ['ADD', 'DEL', 'STATUS']) {
      const { exitCode } = await lab.call(
        { verb, plugin: 'macvlan', conf: document, netns: pod.path, args: 'IgnoreUnknown=1;A=b', path },
        side,
      );
      expect(exitCode).toBe(0);
    }
    expect(recordedVerbs(lab)).toEqual(['ADD', 'DEL', 'STATUS']);
    const hide = [pod.path, lab.dir, path[1] ?? ''];
    return recorded(lab).map((call) => hide.reduce((text, secret) => text.replaceAll(secret, '…'), call));
  }

  it('is the same from our plugin and from Go, stdin to the byte', async () => {
    const [ours, go] = await Promise.all([callsOf(OURS), callsOf(GO)]);
    expect(ours).toEqual(go);
    expect(ours[0]).toContain(document);
  });
});

describe('changing over with a pod running', () => {
  const documents = [
    conf({
      ipam: {
        type: 'static',
        addresses: [{ address: '10.1.2.3/24', gateway: '10.1.2.1' }],
        routes: [{ dst: '0.0.0.0/0' }],
      },
    }),
    conf({ ipam: { type: 'host-local', dataDir: '{store}', ranges: [[{ subnet: '10.7.0.0/24' }]] } }),
    conf({ mode: 'private', mtu: 1300 }),
  ];
  const ways = [
    { from: OURS, to: GO },
    { from: GO, to: OURS },
  ].flatMap(({ from, to }) => documents.map((document, index) => ({ from, to, document, index })));

  it.each(ways)(
    'from $from.name to $to.name, configuration $index: CHECK and DEL know what ADD made',
    async ({ from, to, document }) => {
      await using lab = await Lab.open();
      const pod = await lab.pod();
      const placed = JSON.parse(JSON.stringify(document).replaceAll('{store}', lab.folder('store')));
      const before = await stateOf(pod.name);
      const call = { plugin: 'macvlan', netns: pod.path };
      const added = await lab.call({ ...call, verb: 'ADD', conf: placed }, from);
      expect(added).toMatchObject({ exitCode: 0 });
      const withResult = { ...placed, prevResult: JSON.parse(added.stdout) };
      expect(await lab.call({ ...call, verb: 'CHECK', conf: withResult }, to)).toMatchObject({
        exitCode: 0,
        stdout: '',
      });
      expect(await lab.call({ ...call, verb: 'DEL', conf: withResult }, to)).toMatchObject({ exitCode: 0, stdout: '' });
      expect(await stateOf(pod.name)).toEqual(before);
    },
  );
});
