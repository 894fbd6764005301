import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { answer, fake } from '../../lab/fakes.ts';
import { pictureOf } from '../../lab/picture.ts';
import { GO, OURS } from '../../lab/programs.ts';
import { SEED } from '../../lab/random.ts';
import { addressTexts, linkOf } from '../../lab/state.ts';
import { Comparing } from '../../peers/peer-testing.ts';
import { hostDeviceCases } from './cases.ts';
import { DIFFERENCES } from './differences.ts';
import { Attachment, DEVICE } from './lab.ts';
import { randomHostDeviceCases } from './random.ts';

const comparing = new Comparing('host-device', DIFFERENCES);

comparing.cases('host-device does what the Go plugin does:', hostDeviceCases());
comparing.cases(`host-device does what the Go plugin does, at random (BRAID_SEED=${SEED}):`, randomHostDeviceCases());
comparing.meets(DIFFERENCES);

const STATIC = { type: 'static', addresses: [{ address: '10.1.2.3/24' }] };

describe.each([OURS, GO])('host-device of $name', (side) => {
  const isOurs = side.name === 'ours';

  async function open(script?: string, podOptions = {}) {
    const one = await Attachment.open('1.0.0', podOptions);
    one.side = side;
    one.with = script === undefined ? {} : { path: [fake(one.lab, 'dhcp', script), fake(one.lab, 'fake', script)] };
    return one;
  }

  it('waits until an IPv6 address without gateway can be used', { tags: 'host-device/dad' }, async () => {
    await using one = await open(undefined, { detectsDuplicates: true });
    one.configure({ ipam: { type: 'static', addresses: [{ address: 'fd00::3/64' }] } });
    await one.add();
    expect((await one.inPod('addr show dev net1')).includes('fd00::3/64 scope global tentative')).toBe(!isOurs);
  });

  it.each(['dhcp', 'fake'])(
    'sets the device up before or after it asks %s',
    { tags: 'host-device/up-last' },
    async (type) => {
      const result = { cniVersion: '1.0.0', ips: [{ address: '10.1.2.3/24' }] };
      await using one = await open(
        `[ "$CNI_COMMAND" = ADD ] && ip netns exec "$(basename "$CNI_NETNS")" ip link show net1 > "$PWD/seen"\n${answer(result)}`,
      );
      one.configure({ ipam: { type } });
      await one.add();
      expect(readFileSync(join(one.lab.dir, 'seen'), 'utf8').includes('UP')).toBe(!isOurs || type === 'dhcp');
    },
  );

  it('brings the device home first, and does so when IPAM fails', { tags: 'host-device/del-order' }, async () => {
    const look = `ip netns exec "$(basename "$CNI_NETNS")" ip -o link > "$PWD/seen"; exit 1`;
    const result = { cniVersion: '1.0.0', ips: [{ address: '10.1.2.3/24' }] };
    await using one = await open(`[ "$CNI_COMMAND" = DEL ] && { ${look}; }\n${answer(result)}`);
    one.configure({ ipam: { type: 'fake' } });
    await one.add();
    await one.fail('DEL');
    expect(readFileSync(join(one.lab.dir, 'seen'), 'utf8').includes('net1')).toBe(!isOurs);
    expect(linkOf(await one.nodeState(), DEVICE) !== undefined).toBe(isOurs);
  });
});

describe('changing over with a pod running', () => {
  const confs = [{}, { ipam: STATIC }];
  const ways = [
    { from: OURS, to: GO },
    { from: GO, to: OURS },
  ].flatMap(({ from, to }) => confs.map((conf, index) => ({ from, to, conf, index })));

  it.each(ways)(
    'from $from.name to $to.name, configuration $index: CHECK and DEL know what ADD moved',
    async ({ from, to, conf }) => {
      await using one = await Attachment.open('1.0.0');
      one.configure(conf);
      const before = await pictureOf(one.lab);
      one.side = from;
      await one.add();
      one.side = to;
      await one.succeed('CHECK');
      await one.succeed('DEL');
      const device = linkOf(await one.nodeState(), DEVICE);
      expect(device).not.toHaveProperty('ifalias');
      expect((await one.podState()).links.map(({ ifname }) => ifname)).toEqual(['lo']);
      await one.onNode(`link set ${DEVICE} up`); // the Go plugin leaves it down
      await one.expectHome(before);
    },
  );

  it('gives back all, by our next ADD, of a device that the Go plugin brought home', async () => {
    await using one = await Attachment.open('1.0.0');
    await one.onNode(`addr add 10.60.0.2/24 dev ${DEVICE}`);
    const before = await pictureOf(one.lab);
    await one.add();
    one.side = GO;
    await one.succeed('DEL');
    expect(one.recorded()).toEqual(['c1-net1']);
    one.side = OURS;
    const other = await one.another();
    await other.add();
    await other.succeed('DEL');
    expect(addressTexts(await one.nodeState(), DEVICE)).toEqual(['10.60.0.2/24']);
    await one.expectHome(before);
    expect(one.recorded()).toEqual([]);
  });
});
