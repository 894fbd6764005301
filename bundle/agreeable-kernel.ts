/** A fake kernel with one parent interface that accepts everything and remembers the links it made. */

import { openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import {
  decodeLink,
  encodeLink,
  type LinkAttributes,
  RTM_DELLINK,
  RTM_GETLINK,
  RTM_NEWLINK,
} from '../lib/netlink/codec/link.ts';
import { encodeRoute, RT_TABLE_MAIN, RTM_GETROUTE, RTM_NEWROUTE } from '../lib/netlink/codec/route.ts';
import { encodeRule, FR_ACT_TO_TBL, RTM_GETRULE, RTM_NEWRULE } from '../lib/netlink/codec/rule.ts';
import { AF_INET, NLM_F_CREATE, NLM_F_DUMP } from '../lib/netlink/constants.ts';
import type { Native } from '../lib/netns/native.ts';

export const PARENT = 'parent0';
/** An address that rules and routes are about. */
export const ROUTED = '203.0.113.5/24';
const ROUTED_BYTES = Buffer.from([203, 0, 113, 5]);

const PARENT_INDEX = 2;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const HEADER_BYTES = 16;
const CLONE_NEWNET = 0x4000_0000;
const ENODEV = 19;
const EPROTONOSUPPORT = 93;

/** As much of a link as it is asked for again. */
interface Link {
  readonly index: number;
  readonly ifAlias?: string;
  readonly linkInfo?: NonNullable<LinkAttributes['linkInfo']>;
}

interface Socket {
  /** position in the socket's file up to which requests are answered */
  answered: number;
}

/** @param folder for files: a request is written to one and read back */
export function agreeableNative(folder: string): Native {
  const sockets = new Map<number, Socket>();
  const links = new Map<string, Link>([[PARENT, { index: PARENT_INDEX }]]);
  let opened = 0;
  const receive = (fd: number, into: Buffer): number => {
    const request = nextRequest(fd, sockets.get(fd) ?? { answered: 0 });
    return answerTo(request, links).copy(into);
  };
  return {
    openNetlink: () => {
      const fd = openSync(join(folder, `socket-${opened++}`), 'w+');
      sockets.set(fd, { answered: 0 });
      return fd;
    },
    joinGroup: () => 0,
    openInNetns: () => openSync('/dev/null', 'r+'),
    writeInNetns: () => 0,
    readInNetns: () => 0,
    sendInNetns: () => -EPROTONOSUPPORT,
    openPacket: () => openSync('/dev/null', 'r+'),
    sendFrame: (_fd, _index, _etherType, _destination, payload) => payload.length,
    sendOnThread: async (_nsFd, fd, bytes) => writeSync(fd, bytes),
    receive,
    receiveOnThread: async (fd, into) => receive(fd, into),
    namespaceType: () => CLONE_NEWNET,
    netnsCookie: () => 1,
    lock: () => 0,
    ...NO_CALLERS,
  };
}

const unsupported = (): number => -EPROTONOSUPPORT;

/** Nobody calls during the rehearsal. */
const NO_CALLERS = {
  listenAt: unsupported,
  acceptCaller: unsupported,
  peerUid: unsupported,
  receiveBytes: unsupported,
  sendBytes: unsupported,
  watch: unsupported,
};

function nextRequest(fd: number, socket: Socket): Buffer {
  const head = Buffer.alloc(HEADER_BYTES);
  readSync(fd, head, 0, HEADER_BYTES, socket.answered);
  const request = Buffer.alloc(words(head)[0] ?? HEADER_BYTES);
  readSync(fd, request, 0, request.length, socket.answered);
  socket.answered += request.length;
  return request;
}

function answerTo(request: Buffer, links: Map<string, Link>): Buffer {
  const [, typeAndFlags = 0, sequence = 0] = words(request);
  const [type, flags] = [typeAndFlags & 0xffff, typeAndFlags >>> 16];
  const done = message(NLMSG_DONE, sequence, [Buffer.alloc(4)]);
  const agreed = message(NLMSG_ERROR, sequence, [Buffer.alloc(20)]);
  if ((flags & NLM_F_DUMP) === NLM_F_DUMP && (flags & NLM_F_CREATE) === 0) {
    return Buffer.concat([...tableOf(type, sequence, links), done]);
  }
  const isLink = [RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK].includes(type);
  const { index, attributes } = isLink ? decodeLink(request.subarray(HEADER_BYTES)) : { index: 0, attributes: {} };
  const { ifName: name, ifAlias, linkInfo }: LinkAttributes = attributes;
  const found = [...links].find(([known, its]) => known === name || its.index === index);
  switch (type) {
    case RTM_NEWLINK:
      if (name !== undefined) {
        links.set(name, { index: PARENT_INDEX + links.size, linkInfo: linkInfo ?? {} });
      } else if (found !== undefined && ifAlias !== undefined) {
        links.set(found[0], { ...found[1], ifAlias });
      }
      return agreed;
    case RTM_DELLINK:
      forget(links, index);
      return agreed;
    case RTM_GETLINK:
      return found === undefined ? refusal(sequence, ENODEV) : linkMessage(sequence, ...found);
    default:
      return agreed;
  }
}

function tableOf(type: number, sequence: number, links: Map<string, Link>): readonly Buffer[] {
  switch (type) {
    case RTM_GETLINK:
      return [...links].map((link) => linkMessage(sequence, ...link));
    case RTM_GETRULE: {
      const head = { family: AF_INET, destinationPrefix: 0, action: FR_ACT_TO_TBL };
      const rule = { source: ROUTED_BYTES, tableId: 100, protocol: 98, priority: 32765 };
      return [
        message(RTM_NEWRULE, sequence, encodeRule({ ...head, sourcePrefix: 0 }, { tableId: RT_TABLE_MAIN })),
        message(RTM_NEWRULE, sequence, encodeRule({ ...head, sourcePrefix: 32 }, rule)),
      ];
    }
    case RTM_GETROUTE: {
      const head = { family: AF_INET, prefix: 24, table: RT_TABLE_MAIN, protocol: 2, scope: 253, type: 1 };
      const attributes = { destination: Buffer.from([203, 0, 113, 0]), source: ROUTED_BYTES, tableId: RT_TABLE_MAIN };
      return [...links.values()].map(({ index }) =>
        message(RTM_NEWROUTE, sequence, encodeRoute(head, { ...attributes, outputIndex: index })),
      );
    }
    default:
      return [];
  }
}

/** By its index, or with index 0 a whole group: all but the parent. */
function forget(links: Map<string, Link>, index: number): void {
  for (const [name, its] of links) {
    if (name !== PARENT && (its.index === index || index === 0)) {
      links.delete(name);
    }
  }
}

function linkMessage(sequence: number, name: string, { index, ...more }: Link): Buffer {
  const attributes = { ifName: name, mtu: 1500, link: PARENT_INDEX, address: Buffer.alloc(6, 2), ...more };
  return message(RTM_NEWLINK, sequence, encodeLink({ index, flags: 1 }, attributes));
}

function refusal(sequence: number, errno: number): Buffer {
  return message(NLMSG_ERROR, sequence, [Buffer.from(Int32Array.of(-errno).buffer), Buffer.alloc(16)]);
}

function message(type: number, sequence: number, body: readonly Uint8Array[]): Buffer {
  const data = Buffer.concat(body);
  const header = Uint32Array.of(HEADER_BYTES + data.length, type, sequence, 0);
  return Buffer.concat([new Uint8Array(header.buffer), data, Buffer.alloc(-data.length & 3)]);
}

/** The header as numbers: length, type and flags, sequence, port. */
const words = (bytes: Buffer): Uint32Array => new Uint32Array(Uint8Array.from(bytes.subarray(0, HEADER_BYTES)).buffer);
