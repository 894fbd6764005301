/** Whoever may configure the network of a pod can send netlink messages to our sockets there: perl plays that part. */
import { execFileSync, spawn } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { announceWhenUp, configuring } from '../link/addressing.ts';
import { addAltName, deleteAltName, findDevice, setAlias, setMtu } from '../link/device.ts';
import { deleteLink, setUp } from '../link/link.ts';
import { moveLink } from '../link/moving.ts';
import { findLink, listAddresses, listLinkNames } from '../link/observe.ts';
import { parseCidr } from '../net/cidr.ts';
import type { Netns } from '../netns/netns.ts';
import { ip, Lab } from '../testing/lab.ts';

/**
 * Sends to every netlink socket of the namespace but the kernel's and its own. `$_[0]` makes the message for a sequence
 * number: a refusal, or an answer that says that there is a link of another name.
 */
const FORGER = `
use strict; use Socket;
my ($times, $from, $to) = @ARGV;
socket(my $socket, 16, SOCK_RAW, 0) or die "socket: $!";
bind($socket, pack('S S L L', 16, 0, 0, 0)) or die "bind: $!";
my $own = (unpack('S S L L', getsockname($socket)))[2];
sub refusal { my $s = shift; pack('L S S L L l L S S L L', 36, 2, 0, $s, 0, -1, 16, 16, 1, $s, 0) }
sub untruth { my $s = shift; pack('L S S L L C C S l L L S S a8', 44, 16, 0, $s, 0, 0, 0, 1, 666, 0, 0, 12, 3, "forged0") }
sub ports {
  open(my $table, '<', '/proc/self/net/netlink') or die "netlink: $!";
  return map { my @f = split; $f[1] eq '0' && $f[2] != 0 && $f[2] != $own ? $f[2] : () } grep { !/^sk/ } <$table>;
}
$| = 1;
for (my $round = 0; $times < 0 || $round < $times; $round++) {
  for my $port (ports()) {
    my $to_them = pack('S S L L', 16, 0, $port, 0);
    for my $sequence ($from .. $to) {
      send($socket, $_, MSG_DONTWAIT, $to_them) for refusal($sequence), untruth($sequence);
    }
    send($socket, pack('L S S L L', 100_000, 2, 0, $from, 0) . "\\0" x 99_984, MSG_DONTWAIT, $to_them) if $times == 1;
  }
  print "sent\\n";
  select(undef, undef, undef, 0.001);
}`;

const forge = (lab: Lab, { times, from, to }: { readonly times: number; readonly from: number; readonly to: number }) =>
  [`--net=${lab.podPath}`, 'perl', '-e', FORGER, '--', ...[times, from, to].map(String)] as const;

/** So many messages are more than a socket holds. */
const flood = (lab: Lab): void => {
  execFileSync('nsenter', forge(lab, { times: 2, from: 1, to: 1000 }));
};

/** A link in the pod, and a socket there that waits for its next exchange. */
async function opened(lab: Lab): Promise<Netns> {
  ip('-n', lab.pod, 'link', 'add', 'net1', 'type', 'veth', 'peer', 'name', 'peer1');
  const pod = lab.openPod();
  await listLinkNames(pod.netlink);
  return pod;
}

const device = async ({ netlink }: Netns) => {
  const found = await findDevice(netlink, 'net1');
  if (found === undefined) {
    throw new Error('there is no net1');
  }
  return found;
};

describe('messages that a process of the pod sends to our socket', () => {
  it('are not taken for the answers of the kernel', async () => {
    using lab = new Lab();
    using pod = await opened(lab);
    execFileSync('nsenter', forge(lab, { times: 1, from: 1, to: 40 }));
    expect((await findLink(pod.netlink, 'net1'))?.name).toBe('net1');
    expect(await findLink(pod.netlink, 'forged0')).toBeUndefined();
    await setMtu(pod.netlink, await device(pod), 1300);
    expect([...(await listLinkNames(pod.netlink))].sort()).toEqual(['lo', 'net1', 'peer1']);
    expect(ip('-n', lab.pod, 'link', 'show', 'net1')).toMatchObject([{ mtu: 1300 }]);
  });

  it('are not taken for them while they keep coming', async () => {
    using lab = new Lab();
    using pod = await opened(lab);
    const forger = spawn('nsenter', forge(lab, { times: -1, from: 1, to: 20 }), {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = new Promise((resolve) => forger.once('exit', resolve));
    try {
      await new Promise((resolve) => forger.stdout.once('data', resolve));
      for (let round = 0; round < 100; round++) {
        const mtu = 1300 + round;
        await setMtu(pod.netlink, await device(pod), mtu);
        expect((await device(pod)).mtu).toBe(mtu);
        await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      forger.kill('SIGKILL');
      await ended;
    }
  });
});

describe('a socket that was flooded', () => {
  it('answers questions all the same', async () => {
    using lab = new Lab();
    using pod = await opened(lab);
    flood(lab);
    expect((await findLink(pod.netlink, 'net1'))?.name).toBe('net1');
    flood(lab);
    expect([...(await listLinkNames(pod.netlink))].sort()).toEqual(['lo', 'net1', 'peer1']);
  });

  it('and all others too: a change is made once and succeeds', async () => {
    using lab = new Lab();
    using pod = await opened(lab);
    using node = lab.open(lab.node);
    // several sockets, which wait for their next exchange
    await Promise.all([1, 2, 3].map((group) => deleteLink(pod.netlink, 1000 + group)));
    const flooded = async <T>(change: () => Promise<T>): Promise<T> => {
      flood(lab);
      return change();
    };
    const link = await device(pod);
    await flooded(() => setAlias(pod.netlink, link, 'forty'));
    await flooded(() => addAltName(pod.netlink, link, 'forty-two'));
    await flooded(() => setUp(pod.netlink, link));
    const addresses = ['192.0.2.7/24', 'fd00::7/64']
      .map((text) => parseCidr(text))
      .filter((cidr) => cidr !== undefined);
    announceWhenUp(pod, 'net1');
    const setup = configuring(pod, link, { addresses, routes: [] }, () => undefined);
    await flooded(() => lab.scope().setUpLink(pod, setup));
    expect(await listAddresses(pod.netlink, link.index)).toHaveLength(2);
    expect(await flooded(() => device(pod))).toMatchObject({ alias: 'forty', altNames: ['forty-two'], isUp: true });
    await flooded(() => deleteAltName(pod.netlink, link, 'forty-two'));
    const moved = await flooded(async () => moveLink(pod, await device(pod), { netns: node, name: 'home0' }));
    expect(moved.name).toBe('home0');
    expect(await flooded(() => listLinkNames(pod.netlink))).toEqual(['lo', 'peer1']);
    const peer = await findLink(pod.netlink, 'peer1');
    expect(await flooded(() => deleteLink(pod.netlink, peer?.index ?? 0))).toBe(true);
    expect(ip('-n', lab.pod, 'link')).toMatchObject([{ ifname: 'lo' }]);
  });
});
