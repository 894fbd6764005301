import { closeSync, constants, fstatSync, openSync, type Stats, statSync } from 'node:fs';
import { CniError } from '../cni/errors.ts';
import { type Contention, NO_CONTENTION } from '../netlink/contention.ts';
import { Conversation } from '../netlink/conversation.ts';
import { type ErrnoError, errnoError } from '../netlink/errno.ts';
import { makeReadBuffer, openTransport, type ReadBuffer, type Transport } from '../netlink/transport.ts';
import { Glances } from '../sys/glance.ts';
import type { Native } from './native.ts';

const CLONE_NEWNET = 0x4000_0000;
const NETLINK_ROUTE = 0;
const NETLINK_GENERIC = 16;
const NETLINK_RDMA = 20;
/** a page, as the kernel writes them */
const LONGEST_SYSCTL = 4096;

/** An Ethernet frame to send. */
export interface Frame {
  readonly etherType: number;
  readonly destination: Buffer;
  readonly payload: Buffer;
}

/** A sysctl as seen from inside, by its path below /proc/sys, and its value: `net/ipv4/conf/eth0.5/arp_notify`, `1`. */
export type Sysctl = readonly [name: string, value: string];

/**
 * A handle of a network namespace; all handles of a namespace share its sockets. Nothing stays inside: sockets and
 * files are opened there in one native call and then used from anywhere.
 */
export class Netns implements Disposable {
  /** as given; becomes `sandbox` in results */
  readonly path: string;
  private readonly shared: Shared;
  private isOpen = true;

  /** @see OpenNamespaces, which makes them */
  constructor(path: string, shared: Shared) {
    this.path = path;
    this.shared = shared;
    shared.handles++;
  }

  /** device and inode: equal for two paths to the same namespace */
  get identity(): string {
    return this.shared.identity;
  }

  /** The namespace's cookie, unique until reboot; undefined before Linux 5.14. */
  get cookie(): number | undefined {
    return this.opened().cookie;
  }

  /** The namespace's descriptor, for attributes such as IFLA_NET_NS_FD. */
  get descriptor(): number {
    return this.opened().fd;
  }

  /** The conversation for links, addresses, routes and rules. */
  get netlink(): Conversation {
    return this.opened().route;
  }

  /** The conversation with the RDMA subsystem; rejects with EPROTONOSUPPORT if that is not loaded. */
  get rdmaNetlink(): Conversation {
    return this.opened().rdma;
  }

  /** The conversation with subsystems of generic netlink. */
  get genericNetlink(): Conversation {
    return this.opened().generic;
  }

  /**
   * Writes sysctls in one visit.
   *
   * @returns an error for each that was refused
   */
  writeSysctls(sysctls: readonly Sysctl[]): readonly Error[] {
    const texts = sysctls.map(([name, value]) => `/proc/sys/${name}\0${value}\0`).join('');
    const outcomes = new Int32Array(sysctls.length);
    const { native, fd } = this.opened();
    const visit = native.writeInNetns(fd, Buffer.from(texts), outcomes);
    return sysctls.flatMap(([name, value], index) => {
      const outcome = visit < 0 ? visit : (outcomes[index] ?? 0);
      return outcome < 0 ? [errnoError(`set sysctl ${name} to ${value}`, -outcome)] : [];
    });
  }

  /**
   * Reads sysctls in one visit.
   *
   * @returns for each its value without the final newline, or why it cannot be read
   */
  readSysctls(names: readonly string[]): readonly (string | ErrnoError)[] {
    if (names.length === 0) {
      return [];
    }
    const paths = Buffer.from(names.map((name) => `/proc/sys/${name}\0`).join(''));
    const room = Buffer.alloc(names.length * LONGEST_SYSCTL);
    const outcomes = new Int32Array(names.length);
    const { native, fd } = this.opened();
    const visit = native.readInNetns(fd, paths, room, outcomes);
    return names.map((name, index) => {
      const outcome = visit < 0 ? visit : (outcomes[index] ?? 0);
      const begin = index * LONGEST_SYSCTL;
      return outcome < 0
        ? errnoError(`read sysctl ${name}`, -outcome)
        : room.toString('utf8', begin, begin + outcome).replace(/\n$/, '');
    });
  }

  /** @throws ErrnoError */
  writeSysctl(name: string, value: string): void {
    const [failure] = this.writeSysctls([[name, value]]);
    if (failure !== undefined) {
      throw failure;
    }
  }

  /**
   * Opens an existing file.
   *
   * @throws ErrnoError
   */
  openFile(path: string, flags: number): number {
    const { native, fd } = this.opened();
    const file = native.openInNetns(fd, path, flags);
    if (file < 0) {
      throw errnoError(`open "${path}"`, -file);
    }
    return file;
  }

  /**
   * Sends a frame through one of the namespace's links.
   *
   * @throws ErrnoError ENETDOWN while the link has no carrier
   */
  sendFrame(link: { readonly index: number; readonly name: string }, { etherType, destination, payload }: Frame): void {
    const { native, packetSocket } = this.opened();
    const sent = native.sendFrame(packetSocket, link.index, etherType, destination, payload);
    if (sent < 0) {
      throw errnoError(`send a frame on "${link.name}"`, -sent);
    }
  }

  isSameAs(other: Netns): boolean {
    return this.identity === other.identity;
  }

  /** Releases the handle; idempotent. The last handle of a namespace closes its sockets. */
  [Symbol.dispose](): void {
    if (this.isOpen) {
      this.isOpen = false;
      this.shared.release();
    }
  }

  private opened(): Shared {
    if (!this.isOpen) {
      throw new Error(`cannot use network namespace "${this.path}": it is closed`);
    }
    return this.shared;
  }
}

interface SharedParts {
  readonly native: Native;
  readonly fd: number;
  readonly identity: string;
  readonly contention: Contention;
  readonly buffer: ReadBuffer;
  /** called when the last handle is released */
  readonly forget: () => void;
}

/** Shared by all handles of a namespace: its descriptor and sockets, each opened on first use. */
class Shared {
  readonly native: Native;
  readonly fd: number;
  readonly identity: string;
  handles = 0;
  private readonly contention: Contention;
  private readonly buffer: ReadBuffer;
  private readonly forget: () => void;
  private routeNetlink: Conversation | undefined;
  private rdmaNetlink: Conversation | undefined;
  private genericNetlink: Conversation | undefined;
  private packets: number | undefined;
  private ownCookie: number | undefined;

  /** Takes ownership of the descriptor. */
  constructor({ native, fd, identity, contention, buffer, forget }: SharedParts) {
    this.native = native;
    this.fd = fd;
    this.identity = identity;
    this.contention = contention;
    this.buffer = buffer;
    this.forget = forget;
  }

  get cookie(): number | undefined {
    this.ownCookie ??= this.native.netnsCookie(this.fd);
    return this.ownCookie < 0 ? undefined : this.ownCookie;
  }

  get route(): Conversation {
    this.routeNetlink ??= new Conversation(() => this.openTransport(NETLINK_ROUTE), this.contention);
    return this.routeNetlink;
  }

  get rdma(): Conversation {
    this.rdmaNetlink ??= new Conversation(() => this.openTransport(NETLINK_RDMA), this.contention);
    return this.rdmaNetlink;
  }

  get generic(): Conversation {
    this.genericNetlink ??= new Conversation(() => this.openTransport(NETLINK_GENERIC), this.contention);
    return this.genericNetlink;
  }

  get packetSocket(): number {
    if (this.packets === undefined) {
      const fd = this.native.openPacket(this.fd);
      if (fd < 0) {
        throw errnoError('open a packet socket', -fd);
      }
      this.packets = fd;
    }
    return this.packets;
  }

  release(): void {
    if (--this.handles > 0) {
      return;
    }
    this.forget();
    this.routeNetlink?.close();
    this.rdmaNetlink?.close();
    this.genericNetlink?.close();
    if (this.packets !== undefined) {
      closeSync(this.packets);
    }
    closeSync(this.fd);
  }

  private openTransport(protocol: number): Transport {
    if (this.handles === 0) {
      throw new Error('cannot open a socket in a network namespace that is closed');
    }
    const place = { nsFd: this.fd, protocol, sendsInside: protocol === NETLINK_RDMA };
    return openTransport(this.native, place, this.buffer);
  }
}

/** The open namespaces of a process, each once, however many handles it has. */
export class OpenNamespaces {
  private readonly native: () => Native;
  private readonly open = new Map<string, Shared>();
  private readonly contention: Contention;
  private readonly buffer = makeReadBuffer();
  private readonly glances = new Glances();

  /**
   * @param native called on first use
   * @param contention for a process that serves several calls at once
   */
  constructor(native: () => Native, contention: Contention = NO_CONTENTION) {
    this.native = native;
    this.contention = contention;
  }

  /**
   * A handle of the namespace at a path.
   *
   * @param descriptor of what somebody else has opened there, and keeps open meanwhile
   * @throws NetnsMissing when nothing is at the path, NotANetns when something else is; CniError invalidNetns when it
   * cannot be opened
   */
  at(path: string, descriptor?: number): Netns {
    const known = this.open.size === 0 ? undefined : this.knownAt(path, descriptor);
    if (known !== undefined) {
      return new Netns(path, known);
    }
    const native = this.native();
    const fd = openNamespaceFile(native, path, descriptor === undefined ? path : `/proc/self/fd/${descriptor}`);
    const identity = identityOf(fstatSync(fd));
    const same = this.open.get(identity); // the path leads elsewhere since we looked
    if (same !== undefined) {
      closeSync(fd);
      return new Netns(path, same);
    }
    const shared = new Shared({
      native,
      fd,
      identity,
      contention: this.contention,
      buffer: this.buffer,
      forget: () => this.open.delete(identity),
    });
    this.open.set(identity, shared);
    return new Netns(path, shared);
  }

  /** What is open already is told by its inode, which cannot be recycled while we hold it. */
  private knownAt(path: string, descriptor: number | undefined): Shared | undefined {
    try {
      if (descriptor !== undefined) {
        return this.open.get(identityOf(fstatSync(descriptor)));
      }
      return this.open.get(this.glances.at(path, () => identityOf(statSync(path))));
    } catch {
      return undefined; // opening it says why
    }
  }

  /** A handle of the namespace of this process. */
  own(): Netns {
    return this.at('/proc/thread-self/ns/net');
  }

  /** number of open namespaces */
  get size(): number {
    return this.open.size;
  }
}

/** Nothing is at CNI_NETNS: for DEL it is already gone. */
export class NetnsMissing extends CniError {
  constructor(path: string) {
    super('internal', `cannot open network namespace "${path}": no such file or directory`);
    this.name = 'NetnsMissing';
  }
}

/** CNI_NETNS is something else: a lost bind mount leaves an empty file. */
export class NotANetns extends CniError {
  constructor(path: string) {
    super('invalidNetns', `cannot open network namespace "${path}": it is not a network namespace`);
    this.name = 'NotANetns';
  }
}

const identityOf = ({ dev, ino }: Stats): string => `${dev}:${ino}`;

function openNamespaceFile(native: Native, path: string, file: string): number {
  let fd: number;
  try {
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
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
  return fd;
}
