import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs';
import { CniError } from '../cni/errors.ts';
import { Conversation } from '../netlink/conversation.ts';
import { errnoError } from '../netlink/errno.ts';
import { openTransport, type Transport } from '../netlink/transport.ts';
import type { Native } from './native.ts';

const CLONE_NEWNET = 0x4000_0000;
const NETLINK_ROUTE = 0;
const NETLINK_RDMA = 20;

/** What goes over a wire. */
export interface Frame {
  readonly etherType: number;
  readonly destination: Buffer;
  readonly payload: Buffer;
}

/**
 * A network namespace as a value. Nobody stays inside: sockets and files are opened there in one native call and then
 * used from anywhere.
 */
export class Netns implements Disposable {
  /** as given: it becomes `sandbox` of results */
  readonly path: string;
  /** device and inode: two paths with the same one are the same namespace */
  readonly identity: string;
  private readonly native: Native;
  private readonly fd: number;
  private route: Conversation | undefined;
  private rdma: Conversation | undefined;
  private users = 1;

  /** Takes over the descriptor. */
  constructor(native: Native, path: string, fd: number) {
    this.native = native;
    this.path = path;
    this.fd = fd;
    const { dev, ino } = fstatSync(fd, { bigint: true });
    this.identity = `${dev}:${ino}`;
  }

  /** The kernel's number of the namespace, which no other gets while the machine runs; undefined before Linux 5.14. */
  get cookie(): number | undefined {
    const cookie = this.native.netnsCookie(this.fd);
    return cookie < 0 ? undefined : cookie;
  }

  /** The namespace's descriptor, for attributes such as IFLA_NET_NS_FD. */
  get descriptor(): number {
    return this.fd;
  }

  /** Conversation about links, addresses, routes and rules. */
  get netlink(): Conversation {
    this.route ??= new Conversation(() => this.openTransport(NETLINK_ROUTE));
    return this.route;
  }

  /** Conversation with the RDMA subsystem; rejects with EPROTONOSUPPORT where that is not loaded. */
  get rdmaNetlink(): Conversation {
    this.rdma ??= new Conversation(() => this.openTransport(NETLINK_RDMA));
    return this.rdma;
  }

  /**
   * Writes a sysctl as seen from inside.
   *
   * @param name slash separated, below /proc/sys: `net/ipv4/conf/eth0.5/arp_notify`
   * @throws ErrnoError
   */
  writeSysctl(name: string, value: string): void {
    const fd = this.openFile(`/proc/sys/${name}`, constants.O_WRONLY);
    try {
      writeSync(fd, value);
    } finally {
      closeSync(fd);
    }
  }

  /** @throws ErrnoError */
  openFile(path: string, flags: number): number {
    const fd = this.native.openInNetns(this.fd, path, flags);
    if (fd < 0) {
      throw errnoError(`open "${path}"`, -fd);
    }
    return fd;
  }

  /**
   * Sends a frame out of one of the namespace's links.
   *
   * @throws ErrnoError ENETDOWN while the link has no carrier
   */
  sendFrame(link: { readonly index: number; readonly name: string }, { etherType, destination, payload }: Frame): void {
    const sent = this.native.sendFrame(this.fd, link.index, etherType, destination, payload);
    if (sent < 0) {
      throw errnoError(`send a frame on "${link.name}"`, -sent);
    }
  }

  isSameAs(other: Netns): boolean {
    return this.identity === other.identity;
  }

  /** One more user: the namespace is closed when each of them has disposed of it. */
  shared(): Netns {
    this.users++;
    return this;
  }

  get isOpen(): boolean {
    return this.users > 0;
  }

  [Symbol.dispose](): void {
    if (--this.users === 0) {
      this.route?.close();
      this.rdma?.close();
      closeSync(this.fd);
    }
  }

  private openTransport(protocol: number): Transport {
    if (!this.isOpen) {
      throw new Error(`cannot open a socket in network namespace "${this.path}": it is closed`);
    }
    return openTransport(this.native, { nsFd: this.fd, protocol, sendsInside: protocol === NETLINK_RDMA });
  }
}

/** CNI_NETNS names nothing: DEL takes that as "already gone". */
export class NetnsMissing extends CniError {
  constructor(path: string) {
    super('internal', `cannot open network namespace "${path}": no such file or directory`);
    this.name = 'NetnsMissing';
  }
}

/** CNI_NETNS names something else: an empty file is left where a bind mount was lost. */
export class NotANetns extends CniError {
  constructor(path: string) {
    super('invalidNetns', `cannot open network namespace "${path}": it is not a network namespace`);
    this.name = 'NotANetns';
  }
}

/**
 * Opens a namespace by its path.
 *
 * @throws NetnsMissing when there is nothing at the path, NotANetns when there is something else; CniError invalidNetns
 * when it cannot be opened
 */
export function openNetns(native: Native, path: string): Netns {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') {
      throw new NetnsMissing(path);
    }
    throw new CniError('invalidNetns', `cannot open network namespace "${path}": ${message}`, { cause: error });
  }
  if (native.namespaceType(fd) !== CLONE_NEWNET) {
    closeSync(fd);
    throw new NotANetns(path);
  }
  return new Netns(native, path, fd);
}

/** The namespace of the calling process. */
export const openOwnNetns = (native: Native): Netns => openNetns(native, '/proc/thread-self/ns/net');
