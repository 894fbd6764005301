/**
 * A rehearsal, run by the build right before it takes the snapshot: one attachment from ADD to DEL against a kernel
 * that says yes to everything. What was compiled for it is in the snapshot and need not be compiled at each start.
 */
import { mkdirSync, openSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeHost } from '../lib/cni/host.ts';
import type { Host, Registry } from '../lib/cni/plugin.ts';
import { runPlugin } from '../lib/cni/run.ts';
import { encodeLink, MacvlanTable, RTM_NEWLINK } from '../lib/netlink/codec/link.ts';
import type { Native } from '../lib/netns/native.ts';

const NLMSG_ERROR = 2;
const HEADER_BYTES = 16;
const CLONE_NEWNET = 0x4000_0000;

/** Enough for the compiler to have seen each path; more gains nothing. */
const ROUNDS = 2;

/** Always the same, since its name stays in the snapshot, and the same input gives the same bytes. */
const FOLDER = '/tmp/braid-build-warm-up';
const STALE_MS = 30_000;

export async function warmUp(registry: Registry): Promise<void> {
  const folder = await claim(FOLDER);
  try {
    const bin = join(folder, 'bin');
    mkdirSync(bin);
    for (const name of Object.keys(registry)) {
      writeFileSync(join(bin, name), '');
    }
    const host = agreeableHost(registry);
    for (let round = 0; round < ROUNDS; round++) {
      for (const verb of ['VERSION', 'STATUS', 'ADD', 'CHECK', 'DEL', 'GC']) {
        await rehearse(verb, host, registry, folder);
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function rehearse(verb: string, host: Host, registry: Registry, folder: string): Promise<void> {
  const ipam = {
    type: 'whereabouts',
    datastore: 'file',
    data_dir: join(folder, 'addresses'),
    range: '192.0.2.0/24',
    gateway: '192.0.2.1',
    exclude: ['192.0.2.0/28'],
    routes: [{ dst: '198.51.100.0/24' }],
  };
  const macvlan = {
    cniVersion: '1.1.0',
    name: 'warm',
    type: 'macvlan',
    master: 'net1',
    mode: 'bridge',
    mac: '02:00:00:00:00:01', // a random one would stay in the snapshot
    mtu: 1500,
    ipam,
  };
  const prevResult = { cniVersion: '1.1.0', interfaces: [{ name: 'net1', sandbox: '/proc/self/ns/net' }] };
  const confs = [
    { ...macvlan, prevResult },
    {
      cniVersion: '1.1.0',
      name: 'warm-multus',
      type: 'multus',
      cniDir: join(folder, 'multus'),
      binDir: join(folder, 'bin'),
      logToStderr: false,
      delegates: [
        { ...macvlan, name: 'warm-a' },
        { cniVersion: '1.1.0', name: 'warm-b', plugins: [macvlan] },
      ],
    },
  ];
  for (const conf of confs) {
    const load = registry[conf.type];
    if (load !== undefined) {
      const env = {
        CNI_COMMAND: verb,
        CNI_CONTAINERID: 'warm',
        CNI_NETNS: '/proc/self/ns/net',
        CNI_NETNS_OVERRIDE: '1',
        CNI_IFNAME: 'net1',
        CNI_PATH: join(folder, 'bin'),
        CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=warm;K8S_POD_NAME=up',
      };
      await runPlugin(await load(), { env, readStdin: () => Buffer.from(JSON.stringify(conf)) }, host);
    }
  }
}

function agreeableHost(registry: Registry): Host {
  const host = makeHost({ loadNative: agreeableNative, registry });
  return Object.create(host, {
    isOwnBuild: { value: () => true },
    log: { value: () => undefined },
    sleep: { value: () => Promise.resolve() },
  }) as Host;
}

/** Answers every request with a macvlan that is up, and an acknowledgement. */
function agreeableNative(): Native {
  const sequences = new Map<number, number>();
  return {
    openNetlink: () => {
      const fd = openSync('/dev/null', 'r+');
      sequences.set(fd, 0);
      return fd;
    },
    openInNetns: () => openSync('/dev/null', 'r+'),
    receive: (fd, into) => {
      const sequence = (sequences.get(fd) ?? 0) + 1;
      sequences.set(fd, sequence);
      const answer = Buffer.concat([linkMessage(sequence), message(NLMSG_ERROR, sequence, [Buffer.alloc(20)])]);
      return answer.copy(into);
    },
    namespaceType: () => CLONE_NEWNET,
    lock: () => 0,
  };
}

function linkMessage(sequence: number): Buffer {
  const data = Buffer.concat(MacvlanTable.encode({ mode: 4 }));
  const linkInfo = { kind: 'macvlan', data };
  const body = encodeLink(
    { index: 2, flags: 1 },
    { ifName: 'net1', mtu: 1500, link: 2, address: Buffer.alloc(6, 2), linkInfo },
  );
  return message(RTM_NEWLINK, sequence, body);
}

function message(type: number, sequence: number, body: readonly Uint8Array[]): Buffer {
  const data = Buffer.concat(body);
  const header = Buffer.alloc(HEADER_BYTES);
  header.set(new Uint8Array(Uint32Array.of(HEADER_BYTES + data.length).buffer), 0);
  header.set(new Uint8Array(Uint16Array.of(type).buffer), 4);
  header.set(new Uint8Array(Uint32Array.of(sequence).buffer), 8);
  return Buffer.concat([header, data]);
}

/** Another build may be at work in the folder: wait for it, unless it died there. */
async function claim(folder: string): Promise<string> {
  for (;;) {
    try {
      mkdirSync(folder);
      return folder;
    } catch {
      if (Date.now() - (statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? 0) > STALE_MS) {
        rmSync(folder, { recursive: true, force: true });
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
