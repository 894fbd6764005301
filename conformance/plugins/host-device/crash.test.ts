/** host-device is killed after each of its effects in turn, until a call comes to its end: the device is never lost. */
import { describe, expect, it } from 'vitest';
import { linkOf } from '../../lab/state.ts';
import { killedAfter, untilItEnds } from '../../lab/steps.ts';
import { Attachment, batch, DEVICE, pictureOf } from './lab.ts';

const TIMEOUT_MS = 120_000;

/** A device with something of everything, and a pod whose links have some of its names. */
async function prepared() {
  const one = await Attachment.open('1.0.0');
  const store = one.lab.folder('store');
  one.configure({ ipam: { type: 'whereabouts', datastore: 'file', data_dir: store, range: '10.5.0.0/29' } });
  const other = await one.another();
  await one.lab.sysctl(one.lab.node, `net/ipv6/conf/${DEVICE}/hop_limit`, '33');
  await batch(one.lab.node, [
    `link set ${DEVICE} mtu 1400 promisc on alias uplink`,
    `link property add dev ${DEVICE} altname net1 altname second-name`,
    `addr add 10.60.0.2/24 dev ${DEVICE}`,
    `addr add fd60::2/64 dev ${DEVICE}`,
    'route add 10.61.0.0/16 via 10.60.0.1',
    'rule add from 10.60.0.2 lookup 100 pref 1000',
  ]);
  return { one, other, picture: await pictureOf(one.lab) };
}

describe.concurrent('host-device killed after every effect', () => {
  it('of ADD: after DEL the device is as it was, and another pod can have it', { timeout: TIMEOUT_MS }, async () => {
    const { one, other, picture } = await prepared();
    await using _ = one;
    await untilItEnds(12, async (last) => {
      const outcome = await one.call('ADD', { env: await killedAfter('host-device', one.lab.dir, last) });
      await one.succeed('DEL');
      await one.expectHome(picture);
      await other.add();
      await other.succeed('DEL');
      await one.expectHome(picture);
      expect(one.recorded()).toEqual([]);
      return outcome;
    });
  });

  it('of ADD: another pod has it at once or is told why not', { timeout: TIMEOUT_MS }, async () => {
    const { one, other, picture } = await prepared();
    await using _ = one;
    await untilItEnds(12, async (last) => {
      const outcome = await one.call('ADD', { env: await killedAfter('host-device', one.lab.dir, last) });
      const { exitCode, stdout } = await other.call('ADD');
      if (exitCode !== 0) {
        expect(stdout).toContain('a pod may have it');
        expect(linkOf(await one.podState(), 'net1')).toMatchObject({ ifalias: DEVICE });
      }
      await one.succeed('DEL');
      await other.succeed('DEL');
      await one.expectHome(picture);
      expect(one.recorded()).toEqual([]);
      return outcome;
    });
  });

  it('of DEL: after another DEL the device is as it was', { timeout: TIMEOUT_MS }, async () => {
    const { one, picture } = await prepared();
    await using _ = one;
    await untilItEnds(12, async (last) => {
      await one.add();
      const outcome = await one.call('DEL', { env: await killedAfter('host-device', one.lab.dir, last) });
      await one.succeed('DEL');
      await one.expectHome(picture);
      expect(one.recorded()).toEqual([]);
      return outcome;
    });
  });

  it('of DEL: another pod has it, and after that it is as it was', { timeout: TIMEOUT_MS }, async () => {
    const { one, other, picture } = await prepared();
    await using _ = one;
    await untilItEnds(12, async (last) => {
      await one.add();
      const outcome = await one.call('DEL', { env: await killedAfter('host-device', one.lab.dir, last) });
      if ((await other.call('ADD')).exitCode !== 0) {
        expect(linkOf(await one.podState(), 'net1')).toMatchObject({ ifalias: DEVICE });
      }
      await one.succeed('DEL');
      await other.succeed('DEL');
      await one.expectHome(picture);
      expect(one.recorded()).toEqual([]);
      return outcome;
    });
  });
});
