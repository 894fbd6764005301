import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Conversation } from '../netlink/conversation.ts';
import { type Answer, FakeTransport } from '../netlink/testing/fake-transport.ts';
import { temporaryFolder } from '../sys/testing/temporary.ts';
import { Devlink } from './devlink.ts';
import { discover } from './discovery.ts';
import type { Need } from './source.ts';
import { makeSampleNode, sampleKernel } from './testing/sample-node.ts';

const FAMILY = 0x15;
const CARD = '0000:03:00.0';
const VF = '0000:03:00.1';
const EOPNOTSUPP = 95;
const ENOENT = 2;

/** An attribute as the kernel writes it. */
function attribute(number: number, ...parts: readonly (string | Buffer)[]): Buffer {
  const value = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(`${part}\0`) : part)));
  const head = Buffer.alloc(4);
  head.writeUInt16LE(4 + value.length, 0);
  head.writeUInt16LE(number, 2);
  return Buffer.concat([head, value, Buffer.alloc(-value.length & 3)]);
}

const message = (command: number, ...attributes: readonly Buffer[]): Answer => ({
  type: FAMILY,
  body: Buffer.concat([Buffer.from([command, 1, 0, 0]), ...attributes]),
});
const named = (bus: string, device: string): readonly Buffer[] => [attribute(1, bus), attribute(2, device)];
const DONE: Answer = { type: 3, body: Buffer.alloc(4) };
const refusal = (errno: number): Answer => {
  const body = Buffer.alloc(20);
  body.writeInt32LE(-errno);
  return { type: 2, body };
};

const FAMILY_ANSWER: readonly Answer[] = [
  {
    type: 16,
    body: Buffer.concat([Buffer.from([1, 2, 0, 0]), attribute(2, 'devlink'), attribute(1, Buffer.from([FAMILY, 0]))]),
  },
];
const list = (...devices: readonly (readonly [string, string])[]): readonly Answer[] => [
  ...devices.map(([bus, device]) => message(3, ...named(bus, device))),
  DONE,
];
const mode = (device: string, number: number): readonly Answer[] => [
  message(29, ...named('pci', device), attribute(25, Buffer.from([number, 0])), attribute(26, Buffer.from([0]))),
];
/** As `devlink dev param show pci/… name enable_rdma` gets it: DEVLINK_ATTR_PARAM with NLA_F_NESTED not set. */
const parameter = (device: string, isOn: boolean): readonly Answer[] => {
  const value = [...(isOn ? [attribute(86)] : []), attribute(87, Buffer.from([1]))];
  const values = attribute(84, attribute(85, ...value));
  const inner = [attribute(81, 'enable_rdma'), attribute(82), attribute(83, Buffer.from([6])), values];
  return [message(38, ...named('pci', device), attribute(80, ...inner))];
};
const info = (device: string): readonly Answer[] => [
  message(
    51,
    ...named('pci', device),
    attribute(98, 'ice'),
    attribute(101, attribute(103, 'fw.mgmt'), attribute(104, '7.4.13')),
    attribute(101, attribute(103, 'fw.app.name'), attribute(104, 'ICE COMMS Package')),
  ),
];

function lab(root: string, ...answers: readonly (readonly Answer[])[]) {
  const transport = new FakeTransport(answers);
  const devlink = new Devlink(new Conversation(() => transport), join(root, 'sys'));
  /** What was asked since the last time: command and device. */
  const asked = (): readonly string[] =>
    transport.sent
      .splice(0)
      .map((bytes) =>
        `${bytes[16]} ${/[\da-f]{4}:[\da-f:.]+|[a-z_\d]+\.sf\.\d+/.exec(bytes.toString('latin1', 24))?.[0] ?? ''}`.trim(),
      );
  return { devlink, transport, asked };
}

const NEEDS = (...needs: readonly Need[]): ReadonlySet<Need> => new Set(needs);

describe('devlink', () => {
  it('is asked in the kernel’s own words', async () => {
    using folder = temporaryFolder();
    const { devlink, transport } = lab(folder.path, FAMILY_ANSWER, list(['pci', CARD]), mode(CARD, 1));
    await devlink.read('all', NEEDS());
    const words = transport.sent.map(
      (bytes) => bytes.subarray(4, 8).toString('hex') + bytes.subarray(16).toString('hex'),
    );
    expect(words).toEqual([
      // GENL_ID_CTRL, NLM_F_REQUEST: CTRL_CMD_GETFAMILY "devlink"
      `10000100${'03010000'}${'0c000200'}${Buffer.from('devlink\0').toString('hex')}`,
      // NLM_F_REQUEST | NLM_F_ACK | NLM_F_DUMP: DEVLINK_CMD_GET
      '1500050301010000',
      // NLM_F_REQUEST: DEVLINK_CMD_ESWITCH_GET "pci" "0000:03:00.0"
      `15000100${'1d010000'}${'0800010070636900'}${'11000200'}${Buffer.from(`${CARD}\0`).toString('hex')}000000`,
    ]);
  });

  it('tells the mode of cards, RDMA devices that are out of sight, and packages of cards', async () => {
    using folder = temporaryFolder();
    makeSampleNode(folder.path);
    const found = list(
      ['pci', CARD],
      ['pci', '0000:01:10.0'],
      ['netdevsim', 'netdevsim1'],
      ['auxiliary', 'mlx5_core.sf.4'],
    );
    const { devlink, asked } = lab(
      folder.path,
      ...[
        FAMILY_ANSWER,
        found,
        mode(CARD, 1),
        info(CARD),
        parameter('0000:01:10.0', true),
        parameter('mlx5_core.sf.4', false),
      ],
    );
    const facts = await devlink.read('all', NEEDS('rdma', 'ddp'));
    expect(facts).toEqual({
      eswitchModes: new Map([[CARD, 'switchdev']]),
      rdmaEnabled: new Set(['0000:01:10.0']),
      ddpProfiles: new Map([[CARD, 'ICE COMMS Package']]),
    });
    expect(asked()).toEqual(['3', '1', `29 ${CARD}`, `51 ${CARD}`, '38 0000:01:10.0', '38 mlx5_core.sf.4']);
    const { devices } = discover(join(folder.path, 'sys'), sampleKernel(facts));
    expect(devices.find(({ id }) => id === '0000:01:10.0')).toMatchObject({ isRdma: true, ddpProfile: '' });
    expect(devices.find(({ id }) => id === VF)).toMatchObject({ ddpProfile: 'ICE COMMS Package' });
  });

  it('is asked again only about what may have changed, and when somebody wants to know more', async () => {
    using folder = temporaryFolder();
    makeSampleNode(folder.path);
    const two = list(['pci', CARD], ['pci', '0000:04:00.0']);
    const { devlink, asked } = lab(
      folder.path,
      ...[FAMILY_ANSWER, two, mode(CARD, 0), mode('0000:04:00.0', 0)],
      ...[two, mode(CARD, 1)],
      ...[two, mode(CARD, 1), info(CARD), mode('0000:04:00.0', 0), info('0000:04:00.0')],
    );
    expect((await devlink.read('all', NEEDS())).eswitchModes.get(CARD)).toBe('legacy');
    asked();
    expect((await devlink.read(new Set(), NEEDS())).eswitchModes.get(CARD)).toBe('legacy');
    expect(asked()).toEqual([]);
    expect((await devlink.read(new Set([CARD]), NEEDS())).eswitchModes.get(CARD)).toBe('switchdev');
    expect(asked()).toEqual(['1', `29 ${CARD}`]);
    expect((await devlink.read(new Set(), NEEDS('ddp'))).ddpProfiles.size).toBe(2);
  });

  it('need not be there, nor know what it is asked', async () => {
    using folder = temporaryFolder();
    const none = lab(folder.path, [refusal(ENOENT)]);
    expect((await none.devlink.read('all', NEEDS('rdma', 'ddp'))).eswitchModes.size).toBe(0);
    mkdirSync(join(folder.path, 'sys'));
    const refusals = [1, 2, 3].map(() => [refusal(EOPNOTSUPP)]);
    const dumb = lab(folder.path, FAMILY_ANSWER, list(['pci', CARD]), ...refusals);
    expect(await dumb.devlink.read('all', NEEDS('rdma', 'ddp'))).toEqual({
      eswitchModes: new Map(),
      rdmaEnabled: new Set(),
      ddpProfiles: new Map(),
    });
  });
});
