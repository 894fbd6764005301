import { describe, expect, it } from 'vitest';
import { type Ip, parseIp } from '../net/ip.ts';
import { macOf } from '../net/mac.ts';
import { errnoError } from '../netlink/errno.ts';
import type { Frame, Netns } from '../netns/netns.ts';
import { fakeClock } from '../sys/testing/fake-clock.ts';
import { announce, gratuitousArp, unsolicitedAdvertisement } from './announce.ts';

const mac = Buffer.from('02aa00000007', 'hex');
const ip = (text: string): Ip => parseIp(text) ?? expect.fail(text);

describe('announcements', () => {
  it('of IPv4 addresses are requests for oneself, to everybody', () => {
    const { etherType, destination, payload } = gratuitousArp(mac, ip('192.0.2.5'));
    expect([etherType, destination.toString('hex')]).toEqual([0x0806, 'ffffffffffff']);
    expect(payload.toString('hex')).toBe(
      '0001' + '0800' + '06' + '04' + '0001' + '02aa00000007' + 'c0000205' + 'ffffffffffff' + 'c0000205',
    );
  });

  it('of IPv6 addresses are advertisements to all nodes', { tags: 'sriov/announce' }, () => {
    const { etherType, destination, payload } = unsolicitedAdvertisement(mac, ip('2001:db8::5'));
    expect([etherType, destination.toString('hex')]).toEqual([0x86dd, '333300000001']);
    expect(payload.toString('hex')).toBe(
      '60000000' +
        '0020' +
        '3a' +
        'ff' + // version, length, ICMPv6, hop limit
        '20010db8000000000000000000000005' +
        'ff020000000000000000000000000001' +
        '8800' +
        'f872' +
        '20000000' + // type and code, checksum, override
        '20010db8000000000000000000000005' +
        '0201' +
        '02aa00000007',
    );
  });
});

interface Wire {
  readonly frames: Frame[];
  readonly slept: number[];
  readonly lines: string[];
  announce(address?: string): Promise<void>;
}

/** A link that gets its carrier after so many attempts to send. */
function wireWith({ attempts = 0, failure = '', from = '02:aa:00:00:00:07' } = {}): Wire {
  let left = attempts;
  const frames: Frame[] = [];
  const slept: number[] = [];
  const lines: string[] = [];
  const netns = {
    sendFrame: (_link: unknown, frame: Frame) => {
      if (failure !== '') {
        throw new Error(failure);
      }
      if (left-- > 0) {
        throw errnoError('send a frame on "net1"', 100);
      }
      frames.push(frame);
    },
  } as unknown as Netns;
  return {
    frames,
    slept,
    lines,
    announce: (address = '192.0.2.5') =>
      announce({
        netns,
        link: { index: 7, name: 'net1' },
        mac: macOf(from) ?? '',
        addresses: [ip(address)],
        clock: fakeClock((ms) => void slept.push(ms)),
        log: (line) => lines.push(line),
      }),
  };
}

describe('announce', () => {
  it('sends at once when there is carrier', async () => {
    const wire = wireWith();
    await wire.announce();
    expect([wire.frames.length, wire.slept]).toEqual([1, []]);
  });

  it('waits for the carrier, longer every time', async () => {
    const wire = wireWith({ attempts: 3 });
    await wire.announce('2001:db8::5');
    expect([wire.frames.length, wire.slept]).toEqual([1, [2, 4, 8]]);
  });

  it('gives up after 200 ms, and says so', async () => {
    const wire = wireWith({ attempts: Number.POSITIVE_INFINITY });
    await wire.announce();
    expect(wire.frames).toEqual([]);
    expect(wire.slept.reduce((sum, ms) => sum + ms)).toBeCloseTo(200);
    expect(wire.lines).toEqual([
      'cannot announce the addresses of "net1": cannot send a frame on "net1": ENETDOWN (network is down)',
    ]);
  });

  it('never fails', async () => {
    const wire = wireWith({ failure: 'EPERM' });
    await wire.announce();
    expect(wire.lines).toHaveLength(1);
  });

  it.each(['00:00:00:00:00:00', 'ff:ff:ff:ff:ff:ff', '', '00:00:00:00:00:00:00:01'])(
    'says nothing of the hardware address %s',
    async (from) => {
      const wire = wireWith({ from });
      await wire.announce();
      expect([wire.frames, wire.lines]).toEqual([[], []]);
    },
  );
});
