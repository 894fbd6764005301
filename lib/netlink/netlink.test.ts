import { describe, expect, it } from 'vitest';
import { ErrnoError } from './errno.ts';
import { FakeTransport } from './fake-transport.ts';
import { DumpInterrupted, Netlink } from './netlink.ts';

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

describe('Netlink.request', () => {
  it("throws the kernel's errno and sentence", () => {
    const body = errno(16, Buffer.concat([Buffer.alloc(16), sentence('Device is busy with a bridge')]));
    const transport = new FakeTransport([[{ type: ERROR, flags: CAPPED_WITH_TLVS, body }]]);
    expect(() => new Netlink(transport).request(request)).toThrow(
      'cannot list links: EBUSY (device or resource busy): Device is busy with a bridge',
    );
  });

  it('passes over answers to other requests', () => {
    const stale = { type: ERROR, body: errno(1), sequence: 77 };
    const transport = new FakeTransport([[stale], [{ type: ERROR, body: errno(0) }]]);
    expect(new Netlink(transport).request(request)).toBeUndefined();
  });

  it('fails when no answer comes', () => {
    expect(() => new Netlink(new FakeTransport([])).request(request)).toThrow(ErrnoError);
  });
});

describe('Netlink.get', () => {
  it('returns the answer, and asks for no acknowledgement', () => {
    const body = Buffer.from('abcd');
    const transport = new FakeTransport([[{ type: 16, body }]]);
    expect(new Netlink(transport).get(request)).toEqual(body);
    expect(transport.sent[0]?.readUInt16LE(6)).toBe(1);
  });

  it('throws what the kernel refuses', () => {
    const transport = new FakeTransport([[{ type: ERROR, body: errno(19) }]]);
    expect(() => new Netlink(transport).get(request)).toThrow('ENODEV (no such device)');
  });
});

describe('Netlink.dump', () => {
  const part = (text: string, flags = 2) => ({ type: 16, flags, body: Buffer.from(text) });
  const done = (value = 0, flags = 2, rest: Buffer<ArrayBufferLike> = Buffer.alloc(0)) => ({
    type: DONE,
    flags,
    body: errno(value, rest),
  });

  it('collects all parts', () => {
    const transport = new FakeTransport([[part('aaaa')], [part('bbbb'), done()]]);
    expect(new Netlink(transport).dump(request).map(String)).toEqual(['aaaa', 'bbbb']);
  });

  it('repeats a dump that was interrupted', () => {
    const transport = new FakeTransport([
      [part('old!', DUMP_INTR), done()],
      [part('new!'), done()],
    ]);
    expect(new Netlink(transport).dump(request).map(String)).toEqual(['new!']);
    expect(transport.sent).toHaveLength(2);
  });

  it('gives up when every dump was interrupted', () => {
    const transport = new FakeTransport(Array.from({ length: 10 }, () => [part('old!', DUMP_INTR), done()]));
    expect(() => new Netlink(transport).dump(request)).toThrow(DumpInterrupted);
  });

  it('takes an errno in the closing message as an error', () => {
    const transport = new FakeTransport([[done(22, ACK_TLVS, sentence('Invalid header for dump'))]]);
    expect(() => new Netlink(transport).dump(request)).toThrow('EINVAL (invalid argument): Invalid header for dump');
  });
});

describe('Netlink.slowRequest', () => {
  it('keeps one request in flight', async () => {
    const ok = { type: ERROR, body: errno(0) };
    const transport = new FakeTransport([[ok], [{ type: ERROR, body: errno(19) }], [ok]]);
    const netlink = new Netlink(transport);
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => netlink.slowRequest(request)));
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });
});
