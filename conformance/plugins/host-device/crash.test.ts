/** host-device is killed after each of its effects in turn, until a call comes to its end: the device is never lost. */
import { describe, expect, it } from 'vitest';
import { batch, pictureOf } from '../../lab/picture.ts';
import { linkOf } from '../../lab/state.ts';
import { killAfterEach, killedAfter } from '../../lab/steps.ts';
import { Attachment, DEVICE } from './lab.ts';

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

/** The verb is killed after each of its effects; the device is where it was when what follows has ended. */
function killed(
  verb: 'ADD' | 'DEL',
  follow: (one: Attachment, other: Attachment, home: () => Promise<void>) => Promise<void>,
) {
  return async () => {
    const { one, other, picture } = await prepared();
    await using _ = one;
    const home = () => one.expectHome(picture);
    await killAfterEach(12, {
      before: async () => verb === 'DEL' && one.add(),
      call: async (last) => one.call(verb, { env: await killedAfter('host-device', one.lab.dir, last) }),
      after: async () => {
        await follow(one, other, home);
        await home();
        expect(one.recorded()).toEqual([]);
      },
    });
  };
}

describe.concurrent('host-device killed after every effect', { timeout: 600_000 }, () => {
  it(
    'of ADD: after DEL the device is as it was, and another pod can have it',
    killed('ADD', async (one, other, home) => {
      await one.succeed('DEL');
      await home();
      await other.add();
      await other.succeed('DEL');
    }),
  );

  it(
    'of ADD: another pod has it at once or is told why not',
    killed('ADD', async (one, other) => {
      const { exitCode, stdout } = await other.call('ADD');
      if (exitCode !== 0) {
        expect(stdout).toContain('a pod may have it');
        expect(linkOf(await one.podState(), 'net1')).toMatchObject({ ifalias: DEVICE });
      }
      await one.succeed('DEL');
      await other.succeed('DEL');
    }),
  );

  it(
    'of DEL: after another DEL the device is as it was',
    killed('DEL', (one) => one.succeed('DEL')),
  );

  it(
    'of DEL: another pod has it, and after that it is as it was',
    killed('DEL', async (one, other) => {
      if ((await other.call('ADD')).exitCode !== 0) {
        expect(linkOf(await one.podState(), 'net1')).toMatchObject({ ifalias: DEVICE });
      }
      await one.succeed('DEL');
      await other.succeed('DEL');
    }),
  );
});
