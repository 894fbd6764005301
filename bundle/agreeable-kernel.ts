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
import { NLM_F_CREATE, NLM_F_DUMP } from '../lib/netlink/constants.ts';
import type { Native } from '../lib/netns/native.ts';

export const PARENT = 'parent0';

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
    openInNetns: () => openSync('/dev/null', 'r+'),
    writeInNetns: () => 0,
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
    const all = type === RTM_GETLINK ? [...links].map((link) => linkMessage(sequence, ...link)) : [];
    return Buffer.concat([...all, done]);
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
