import { closeSync, constants, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { constants as os } from 'node:os';
import { describe, expect, it } from 'vitest';
import { findLink, listLinkNames } from '../link/observe.ts';
import { ContentionMeter } from '../netlink/contention.ts';
import { Lab, PARENT } from '../testing/lab.ts';
import type { Native } from './native.ts';
import { OpenNamespaces } from './netns.ts';

const { EBADF, EFBIG, EINVAL, ENOENT, ENOTTY, ETIMEDOUT } = os.errno;
const here = (): string => readlinkSync('/proc/thread-self/ns/net');
const openFiles = (): number => readdirSync('/proc/self/fd').length;

/** Bytes of the header of a message of netlink, and what can be in it. */
const NLMSG_HEADER = 16;
const NO_SUCH_REQUEST = 0x7f0;
const NLM_F_REQUEST = 1;

const bytes = Buffer.alloc(16);
const wrong = (value: unknown): never => value as never;

describe('the native part', () => {
  it.each<[string, (native: Native) => number | Promise<number>]>([
    ['no namespace', (native) => native.openNetlink(-1, 0)],
    ['an undefined namespace', (native) => native.openNetlink(wrong(undefined), 0)],
    ['half a descriptor', (native) => native.openNetlink(0.5, 0)],
    ['a text for a number', (native) => native.openNetlink(0, wrong('0'))],
    ['a number that no int holds', (native) => native.namespaceType(2 ** 31)],
    ['too few', (native) => (native.openPacket as () => number)()],
    ['a path that is none', (native) => native.openInNetns(0, wrong(7), constants.O_RDONLY)],
    ['a file that would be new', (native) => native.openInNetns(0, '/proc/none', constants.O_CREAT)],
    ['a text without its end', (native) => native.writeInNetns(0, Buffer.from('/proc/a\0x'), new Int32Array(1))],
    ['fewer outcomes than files', (native) => native.writeInNetns(0, Buffer.from('a\0b\0c\0d\0'), new Int32Array(1))],
    [
      'fewer paths than outcomes',
      (native) => native.readInNetns(0, Buffer.from('a\0'), Buffer.alloc(8), new Int32Array(2)),
    ],
    ['no room', (native) => native.readInNetns(0, Buffer.from('a\0'), Buffer.alloc(0), new Int32Array(1))],
    ['no bytes', (native) => native.sendInNetns(0, 0, wrong('bytes'))],
    ['an address that is too long', (native) => native.sendFrame(0, 1, 0x806, Buffer.alloc(64), bytes)],
    ['no buffer', (native) => native.receive(0, wrong(undefined), 0)],
    ['a thread without bytes', (native) => native.sendOnThread(-1, 0, wrong(null))],
    ['a thread that waits for less than nothing', (native) => native.receiveOnThread(0, bytes, -1)],
    ['a lock on nothing', (native) => native.lock(-1, 2)],
  ])('refuses %s', async (_, call) => {
    using lab = new Lab();
    expect(await call(lab.native)).toBe(-EINVAL);
  });

  it('says what the kernel says, and is where it was', () => {
    using lab = new Lab();
    const [before, files] = [here(), openFiles()];
    const file = openSync('/dev/null', 'r');
    expect(lab.native.openNetlink(file, 0)).toBe(-EINVAL);
    expect(lab.native.openNetlink(1_000_000, 0)).toBe(-EBADF);
    expect(lab.native.namespaceType(file)).toBe(-ENOTTY);
    closeSync(file);
    using netns = lab.open(lab.node);
    expect(lab.native.openInNetns(netns.descriptor, '/proc/sys/net/none', constants.O_RDONLY)).toBe(-ENOENT);
    const outcomes = new Int32Array(1);
    expect(lab.native.readInNetns(netns.descriptor, Buffer.from('/proc/version\0'), Buffer.alloc(4), outcomes)).toBe(0);
    expect([...outcomes]).toEqual([-EFBIG]);
    expect(here()).toBe(before);
    expect(openFiles()).toBeLessThanOrEqual(files + 3); // file of the test, namespace, and the way back
  });

  it('writes several sysctls in one visit, each with its own outcome', () => {
    using lab = new Lab();
    using netns = lab.open(lab.node);
    const failures = netns.writeSysctls([
      [`net/ipv4/conf/${PARENT}/arp_notify`, '1'],
      ['net/ipv4/conf/none/arp_notify', '1'],
      [`net/ipv4/conf/${PARENT}/rp_filter`, '2'],
    ]);
    expect(failures.map(({ message }) => message)).toEqual([expect.stringContaining('ENOENT')]);
    const read = (name: string): string => {
      const fd = netns.openFile(`/proc/sys/net/ipv4/conf/${PARENT}/${name}`, constants.O_RDONLY);
      try {
        return readFileSync(fd, 'utf8').trim();
      } finally {
        closeSync(fd);
      }
    };
    expect(['arp_notify', 'rp_filter'].map(read)).toEqual(['1', '2']);
  });

  it('waits on threads of its own, more calls than there are threads', async () => {
    using lab = new Lab();
    using netns = lab.open(lab.node);
    const fd = lab.native.openNetlink(netns.descriptor, 0);
    expect(await lab.native.receiveOnThread(fd, Buffer.alloc(16), 5)).toBe(-ETIMEDOUT);
    const waiting = Array.from({ length: 200 }, () => lab.native.receiveOnThread(fd, Buffer.alloc(16), 60_000));
    // Nothing comes by itself: it takes a turn of the event loop, while all of them wait, to have the kernel say something.
    await new Promise((resolve) => setTimeout(resolve, 1));
    const unknown = Buffer.alloc(NLMSG_HEADER);
    unknown.writeUInt32LE(NLMSG_HEADER, 0);
    unknown.writeUInt16LE(NO_SUCH_REQUEST, 4);
    unknown.writeUInt16LE(NLM_F_REQUEST, 6);
    for (const _ of waiting) {
      expect(lab.native.sendInNetns(netns.descriptor, fd, unknown)).toBe(NLMSG_HEADER);
    }
    const refusal = NLMSG_HEADER + 4 + NLMSG_HEADER; // the error, and what was asked
    expect(new Set(await Promise.all(waiting))).toEqual(new Set([refusal]));
    closeSync(fd);
  });
});

describe('a conversation while others keep the kernel busy', () => {
  it('goes through threads, and gets the same answers', async () => {
    using lab = new Lab();
    const contention = new ContentionMeter();
    using netns = new OpenNamespaces(() => lab.native, contention).at(`/run/netns/${lab.node}`);
    const quiet = await listLinkNames(netns.netlink);
    contention.report(performance.now() - 1000, { isSlow: false, requests: 1 });
    expect(contention.isHigh).toBe(true);
    const lists = await Promise.all(Array.from({ length: 100 }, () => listLinkNames(netns.netlink)));
    expect(lists).toEqual(lists.map(() => quiet));
    expect(await findLink(netns.netlink, 'none')).toBeUndefined();
  });
});
