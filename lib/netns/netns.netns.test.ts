import { closeSync, constants, mkdtempSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findLink, listLinkNames } from '../link/observe.ts';
import { Conversation } from '../netlink/conversation.ts';
import { openTransport, type SocketCalls } from '../netlink/transport.ts';
import { ip, Lab, PARENT } from '../testing/lab.ts';
import { NetnsMissing, NotANetns, OpenNamespaces } from './netns.ts';

const here = (): string => readlinkSync('/proc/thread-self/ns/net');

describe('Netns', () => {
  it('opens sockets and sysctls inside and stays outside', async () => {
    using lab = new Lab();
    const before = here();
    using node = lab.open(lab.node);
    expect((await findLink(node.netlink, PARENT))?.kind).toBe('veth');
    node.writeSysctl(`net/ipv4/conf/${PARENT}/arp_notify`, '1');
    expect(() => node.writeSysctl('net/ipv4/conf/nothing/arp_notify', '1')).toThrow('ENOENT');
    expect(here()).toBe(before);
    using own = new OpenNamespaces(() => lab.native).own();
    expect(own.isSameAs(node)).toBe(false);
    expect(await findLink(own.netlink, PARENT)).toBeUndefined();
  });

  it('sends from inside where a subsystem asks where the sender is', async () => {
    using lab = new Lab();
    const before = here();
    using node = lab.open(lab.node);
    const place = { nsFd: node.descriptor, protocol: 0, sendsInside: true };
    const inside = new Conversation(() => openTransport(lab.native, place));
    expect(await listLinkNames(inside)).toContain(PARENT);
    expect(here()).toBe(before);
    inside.close();
    const native: SocketCalls = { ...lab.native, sendInNetns: () => -1 };
    const refused = new Conversation(() => openTransport(native, place));
    await expect(listLinkNames(refused)).rejects.toThrow(
      'cannot send a netlink request: EPERM (operation not permitted)',
    );
    refused.close();
  });

  it('keeps dots in the names of interfaces apart from those of sysctls', () => {
    using lab = new Lab();
    ip('-n', lab.node, 'link', 'add', 'a.5', 'type', 'bridge');
    using node = lab.open(lab.node);
    node.writeSysctl('net/ipv4/conf/a.5/arp_notify', '1');
    const fd = node.openFile('/proc/sys/net/ipv4/conf/a.5/arp_notify', constants.O_RDONLY);
    expect(fd).toBeGreaterThan(2);
    closeSync(fd);
  });

  it('reads sysctls inside, in one visit', () => {
    using lab = new Lab();
    const before = here();
    using node = lab.open(lab.node);
    node.writeSysctl('net/ipv4/ip_local_port_range', '20000 30000');
    const [range, missing, folder, hidden, mtu] = node.readSysctls([
      'net/ipv4/ip_local_port_range',
      'net/ipv4/conf/nothing/arp_notify',
      'net/ipv4',
      'net/ipv4/route/flush', // can only be written
      `net/ipv6/conf/${PARENT}/mtu`,
    ]);
    expect([range, mtu]).toEqual(['20000\t30000', '1500']);
    expect([missing, folder, hidden]).toMatchObject([{ code: 'ENOENT' }, { code: 'EISDIR' }, { code: 'EACCES' }]);
    expect(String(missing)).toContain('cannot read sysctl net/ipv4/conf/nothing/arp_notify: ENOENT');
    expect(node.readSysctls([])).toEqual([]);
    expect(here()).toBe(before);
  });

  it('tells a missing path from one that is no namespace', () => {
    using lab = new Lab();
    const folder = mkdtempSync(join(tmpdir(), 'braid-test-'));
    writeFileSync(join(folder, 'file'), '');
    const open = new OpenNamespaces(() => lab.native);
    expect(() => open.at(join(folder, 'nothing'))).toThrow(NetnsMissing);
    expect(() => open.at(join(folder, 'file'))).toThrow(NotANetns);
    rmSync(folder, { recursive: true });
  });
});

describe('a kernel that refuses', () => {
  it('is quoted with its own sentence', async () => {
    using lab = new Lab();
    using node = lab.open(lab.node);
    const body = [Buffer.alloc(16), Buffer.from('0800ff3f00000000', 'hex')];
    await expect(node.netlink.dump({ type: 18, body, operation: 'list links' })).rejects.toThrow(
      /cannot list links: EINVAL .*: \w+/,
    );
  });
});
