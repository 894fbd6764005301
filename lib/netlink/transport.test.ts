import { openSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { NoAnswer } from './errno.ts';
import { makeReadBuffer, openTransport, type SocketCalls } from './transport.ts';

/** A kernel whose only datagram comes again whenever it is asked for. */
function kernelWith(datagram: Buffer): SocketCalls {
  const receive = (_fd: number, into: Buffer): number => {
    datagram.copy(into);
    return datagram.length;
  };
  return {
    openNetlink: () => openSync('/dev/null', 'r+'),
    sendInNetns: () => 0,
    sendOnThread: () => 0,
    receive,
    receiveOnThread: async (fd, into) => receive(fd, into),
  };
}

describe.each(['receive', 'receiveInBackground'] as const)('Transport.%s', (how) => {
  it('loses a datagram that is longer than what it reads into, and has room for the next', async () => {
    const datagram = Buffer.alloc(100_000, 7);
    const buffer = makeReadBuffer();
    const open = () => openTransport(kernelWith(datagram), { nsFd: 0, protocol: 0 }, buffer);
    const first = open();
    await expect((async () => first[how]('look up link 1', 0))()).rejects.toThrow(
      new NoAnswer('look up link 1', 90), // EMSGSIZE
    );
    first.close();
    const second = open();
    expect(await second[how]('look up link 1', 0)).toEqual(datagram);
    second.close();
  });
});
