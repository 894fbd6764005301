import { describe, expect, it } from 'vitest';
import { seeded } from '../sys/testing/seeded.ts';
import { Conversation, DumpInterrupted } from './conversation.ts';
import { NoAnswer } from './errno.ts';
import { DisorderlyKernel } from './testing/disorder.ts';
import { FakeTransport } from './testing/fake-transport.ts';

const ERROR = 2;
const DONE = 3;
const DUMP_INTR = 0x10;
const CAPPED_WITH_TLVS = 0x300;
const ACK_TLVS = 0x200;
const request = { type: 18, body: [], operation: 'list links' };

const errno = (value: number, rest: Buffer<ArrayBufferLike> = Buffer.alloc(16)): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(-value);
  return Buffer.concat([bytes, rest]);
};
const sentence = (text: string): Buffer => {
  const bytes = Buffer.from(`${text}\0`);
  const head = Buffer.alloc(4);
  head.writeUInt16LE(4 + bytes.length, 0);
  head.writeUInt16LE(1, 2);
  return Buffer.concat([head, bytes, Buffer.alloc(-bytes.length & 3)]);
};

describe('Conversation.change', () => {
  it("throws the kernel's errno and sentence", async () => {
    const body = errno(16, Buffer.concat([Buffer.alloc(16), sentence('Device is busy with a bridge')]));
    const transport = new FakeTransport([[{ type: ERROR, flags: CAPPED_WITH_TLVS, body }]]);
    await expect(new Conversation(() => transport).change(request)).rejects.toThrow(
      'cannot list links: EBUSY (device or resource busy): Device is busy with a bridge',
    );
  });

  it('passes over answers to other requests', async () => {
    const stale = { type: ERROR, body: errno(1), sequence: 77 };
    const transport = new FakeTransport([[stale], [{ type: ERROR, body: errno(0) }]]);
    expect(await new Conversation(() => transport).change(request)).toBeUndefined();
  });

  it('fails when no answer comes, however often it is asked for', async () => {
    const kernel = new FakeTransport([]);
    await expect(new Conversation(() => kernel).change(request)).rejects.toThrow(NoAnswer);
  });

  it('is asked for again on another socket when the answer is lost, and was done before', async () => {
    const refused = { type: ERROR, body: errno(19) };
    const kernels = [new FakeTransport([]), new FakeTransport([[refused]])];
    const sockets = kernels.values();
    const netlink = new Conversation(() => sockets.next().value ?? new FakeTransport([]));
    await netlink.change({ ...request, whenDone: 'ENODEV' });
    expect(kernels.map(({ sent }) => sent.length)).toEqual([0, 1]); // the first is closed: its answer may still come
    const again = [new FakeTransport([]), new FakeTransport([[refused]])].values();
    await expect(new Conversation(() => again.next().value ?? new FakeTransport([])).change(request)).rejects.toThrow(
      'ENODEV',
    );
  });
});

describe('Conversation.changeAll', () => {
  const asked = (...texts: readonly string[]) =>
    texts.map((text) => ({ type: 16, body: [Buffer.from(text)], operation: `do ${text.trim()}`, whenDone: 'EEXIST' }));
  const refusal = (value: number, sequence: number) => ({ type: ERROR, body: errno(value), sequence });

  it('sends one datagram, and asks for the acknowledgement of the last', async () => {
    const transport = new FakeTransport([[refusal(0, 3)]]);
    const refusals = await new Conversation(() => transport).changeAll(asked('one ', 'three', 'two '));
    expect(refusals).toEqual([undefined, undefined, undefined]);
    expect(transport.sent.map((bytes) => bytes.length)).toEqual([20 + 24 + 20]);
    const [bytes = Buffer.alloc(0)] = transport.sent;
    const heads = [0, 20, 44].map((at) => [
      bytes.readUInt32LE(at),
      bytes.readUInt16LE(at + 6),
      bytes.readUInt32LE(at + 8),
    ]);
    expect(heads).toEqual([
      [20, 1, 1],
      [21, 1, 2],
      [20, 5, 3],
    ]);
  });

  it('says of each whether the kernel refuses it, in datagrams of their own or in one', async () => {
    const answers = [[refusal(19, 1)], [refusal(17, 3), refusal(0, 4)]];
    const refusals = await new Conversation(() => new FakeTransport(answers)).changeAll(asked('a', 'b', 'c', 'd'));
    expect(refusals.map((one) => one?.message.split(' (')[0])).toEqual([
      'cannot do a: ENODEV',
      undefined,
      'cannot do c: EEXIST',
      undefined,
    ]);
  });

  it('sends up to 64 in one datagram', async () => {
    const transport = new FakeTransport([[refusal(19, 3), refusal(0, 64)], [refusal(17, 70)]]);
    const refusals = await new Conversation(() => transport).changeAll(asked(...Array.from({ length: 70 }, () => 'a')));
    const refused = [...refusals.entries()].filter(([, one]) => one !== undefined);
    expect([refusals.length, ...refused.map(([index, one]) => `${index}: ${one?.code}`)]).toEqual([
      70,
      '2: ENODEV',
      '69: EEXIST',
    ]);
    expect(transport.sent.map((bytes) => bytes.length)).toEqual([63 * 20 + 17, 5 * 20 + 17]);
  });

  it.each([
    [true, 8, ['in the background']],
    [true, 7, ['in place']],
    [false, 64, ['in place']],
  ])('sends for a process that serves others (%s) %i requests %s', async (hasOthers, count, expected) => {
    const ways: string[] = [];
    const transport = new FakeTransport([[refusal(0, count)]]);
    const send = transport.send.bind(transport);
    transport.send = (bytes) => {
      ways.push('in place');
      send(bytes);
    };
    transport.sendInBackground = async (bytes) => {
      ways.push('in the background');
      send(bytes);
    };
    const contention = { hasOthers, isHigh: false, report: () => undefined };
    await new Conversation(() => transport, contention).changeAll(asked(...Array.from({ length: count }, () => 'a')));
    expect(ways).toEqual(expected);
  });

  it('sends nothing when nothing is asked for', async () => {
    const transport = new FakeTransport([]);
    expect(await new Conversation(() => transport).changeAll([])).toEqual([]);
    expect(transport.sent).toEqual([]);
  });

  it('repeats all when an answer is lost, and takes what was done before for done', async () => {
    const again = new FakeTransport([[refusal(17, 3), refusal(19, 4)]]);
    const sockets = [new FakeTransport([]), again].values();
    const netlink = new Conversation(() => sockets.next().value ?? new FakeTransport([]));
    const refusals = await netlink.changeAll(asked('a', 'b'));
    expect(refusals.map((one) => one?.code)).toEqual([undefined, 'ENODEV']);
    expect(again.sent).toHaveLength(1);
  });

  it('keeps answers apart from those of exchanges beside it', async () => {
    const kernel = new DisorderlyKernel(seeded(11));
    const netlink = new Conversation(() => kernel.open());
    const outcomes = await Promise.all(
      Array.from({ length: 100 }, async (_, index) => {
        const requests = asked('yes ', index % 2 === 0 ? 'no  ' : 'yes ', 'yes ').map((one) => ({
          ...one,
          isSlow: true,
        }));
        return (await netlink.changeAll(requests)).map((one) => one?.code);
      }),
    );
    expect(outcomes).toEqual(
      Array.from({ length: 100 }, (_, index) => [undefined, index % 2 === 0 ? 'ENODEV' : undefined, undefined]),
    );
  });
});

describe('Conversation.ask', () => {
  it('returns the answer, and asks for no acknowledgement', async () => {
    const body = Buffer.from('abcd');
    const transport = new FakeTransport([[{ type: 16, body }]]);
    expect(await new Conversation(() => transport).ask(request)).toEqual(body);
    expect(transport.sent[0]?.readUInt16LE(6)).toBe(1);
  });

  it('throws what the kernel refuses', async () => {
    const transport = new FakeTransport([[{ type: ERROR, body: errno(19) }]]);
    await expect(new Conversation(() => transport).ask(request)).rejects.toThrow('ENODEV (no such device)');
  });
});

describe('Conversation.dump', () => {
  const part = (text: string, flags = 2) => ({ type: 16, flags, body: Buffer.from(text) });
  const done = (value = 0, flags = 2, rest: Buffer<ArrayBufferLike> = Buffer.alloc(0)) => ({
    type: DONE,
    flags,
    body: errno(value, rest),
  });

  it('collects all parts', async () => {
    const transport = new FakeTransport([[part('aaaa')], [part('bbbb'), done()]]);
    expect((await new Conversation(() => transport).dump(request)).map(String)).toEqual(['aaaa', 'bbbb']);
  });

  it('repeats a dump that was interrupted', async () => {
    const transport = new FakeTransport([
      [part('old!', DUMP_INTR), done()],
      [part('new!'), done()],
    ]);
    expect((await new Conversation(() => transport).dump(request)).map(String)).toEqual(['new!']);
    expect(transport.sent).toHaveLength(2);
  });

  it('gives up when every dump was interrupted', async () => {
    const transport = new FakeTransport(Array.from({ length: 10 }, () => [part('old!', DUMP_INTR), done()]));
    await expect(new Conversation(() => transport).dump(request)).rejects.toThrow(DumpInterrupted);
  });

  it('takes an errno in the closing message as an error', async () => {
    const transport = new FakeTransport([[done(22, ACK_TLVS, sentence('Invalid header for dump'))]]);
    await expect(new Conversation(() => transport).dump(request)).rejects.toThrow(
      'EINVAL (invalid argument): Invalid header for dump',
    );
  });
});

describe('A conversation of many exchanges at once', () => {
  it('gives each its own answer, however late and in whatever order they come', async () => {
    const kernel = new DisorderlyKernel(seeded(7));
    const netlink = new Conversation(() => kernel.open());
    const outcomes = await Promise.all(
      Array.from({ length: 300 }, async (_, index) => {
        const body = [Buffer.from(String(index).padStart(4, '0'))];
        switch (index % 3) {
          case 0:
            return String(await netlink.ask({ ...request, body }));
          case 1:
            await netlink.change({ ...request, body, isSlow: true });
            return String(body);
          default:
            return (await netlink.dump({ ...request, body })).map(String).join();
        }
      }),
    );
    expect(outcomes).toEqual(outcomes.map((_, index) => String(index).padStart(4, '0')));
    expect(kernel.opened).toBeGreaterThan(1);
    netlink.close();
    expect(kernel.openNow).toBe(0);
  });

  it('opens one socket for all that are done in place, however many are asked for at once', async () => {
    const kernel = new DisorderlyKernel(seeded(10));
    const netlink = new Conversation(() => kernel.open());
    await Promise.all(Array.from({ length: 16 }, () => netlink.ask(request)));
    await Promise.all(Array.from({ length: 16 }, () => netlink.dump(request)));
    expect(kernel.opened).toBe(1);
  });

  it('opens one socket for exchanges that follow each other', async () => {
    const kernel = new DisorderlyKernel(seeded(8));
    const netlink = new Conversation(() => kernel.open());
    for (const isSlow of [true, false, true]) {
      await netlink.change({ ...request, isSlow });
    }
    expect(kernel.opened).toBe(1);
  });

  it('gives up a send that the kernel does not come back from, and leaves that socket alone', async () => {
    const kernel = new DisorderlyKernel(seeded(9));
    kernel.isStuck = true;
    const netlink = new Conversation(() => kernel.open(), undefined, 20);
    await expect(netlink.change({ ...request, isSlow: true })).rejects.toThrow(NoAnswer);
    expect([kernel.opened, kernel.openNow]).toEqual([1, 1]);
    kernel.isStuck = false;
    await netlink.change(request);
    expect(kernel.opened).toBe(2);
    await kernel.unstick();
    netlink.close();
    expect(kernel.openNow).toBe(0);
  });
});
