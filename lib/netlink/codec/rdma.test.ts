import { describe, expect, it } from 'vitest';
import { Conversation } from '../conversation.ts';
import { type Answer, FakeTransport } from '../testing/fake-transport.ts';
import {
  NETNS_EXCLUSIVE,
  RDMA_NLDEV_CMD_GET,
  RDMA_NLDEV_CMD_SET,
  RDMA_NLDEV_CMD_SYS_GET,
  RDMA_NLDEV_CMD_SYS_SET,
  type RdmaAttributes,
  RdmaTable,
} from './rdma.ts';

const DONE = { type: 3, body: Buffer.alloc(4) };

/** What is put on the wire, with sequence 1 and in words of four bytes. */
async function wire(
  work: (netlink: Conversation) => Promise<unknown>,
  answer: readonly Answer[] = [],
): Promise<string> {
  const transport = new FakeTransport([answer]);
  await work(new Conversation(() => transport));
  return (transport.sent[0]?.toString('hex').match(/.{1,8}/g) ?? []).join(' ');
}

const request = (type: number, attributes: RdmaAttributes = {}) => ({
  type,
  body: RdmaTable.encode(attributes),
  operation: 'test',
});

describe('the codec of RDMA devices', () => {
  it('encodes the move of a device to a namespace', async () => {
    expect(await wire((netlink) => netlink.change(request(RDMA_NLDEV_CMD_SET, { devIndex: 4, netNsFd: 9 })))).toBe(
      '20000000 02140500 01000000 00000000 08000100 04000000 08004400 09000000',
    );
  });

  it('encodes the question for the mode, and its change', async () => {
    expect(await wire((netlink) => netlink.ask(request(RDMA_NLDEV_CMD_SYS_GET)), [DONE])).toBe(
      '10000000 06140100 01000000 00000000',
    );
    const change = request(RDMA_NLDEV_CMD_SYS_SET, { netnsMode: NETNS_EXCLUSIVE });
    expect(await wire((netlink) => netlink.change(change))).toBe(
      '18000000 07140500 01000000 00000000 05004200 00000000',
    );
  });

  it('encodes the question for all devices', async () => {
    expect(await wire((netlink) => netlink.dump(request(RDMA_NLDEV_CMD_GET)), [DONE])).toBe(
      '10000000 01140503 01000000 00000000',
    );
  });

  it('reads a device as the kernel describes it, and passes over what it does not know', () => {
    // index 3, name "rxe0", port count 1 (u32 3), node GUID (u64 6), protocol "roce" (67)
    const answer = Buffer.from(
      '0800010003000000' +
        '0900020072786530' +
        '00000000' +
        '0800030001000000' +
        '0c0006000011223344556677' +
        '09004300726f636500000000',
      'hex',
    );
    expect(RdmaTable.decode(answer)).toEqual({ devIndex: 3, devName: 'rxe0' });
    expect([...RdmaTable.unknownIn(answer).keys()]).toEqual([3, 6, 67]);
  });
});
