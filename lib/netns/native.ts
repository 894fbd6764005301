import { closeSync, constants, openSync, readFileSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { writeAll } from '../sys/write-all.ts';

/**
 * The native part (folder `native`). Every function returns, or promises, a descriptor, a length or 0, and -errno on
 * failure: -EINVAL for invalid arguments, -ENOTRECOVERABLE when the kernel does not let the thread return from another
 * network namespace. None throws or rejects.
 */
export interface Native {
  /** A netlink socket with extended acks and strict checking, opened in the namespace behind `nsFd`. */
  openNetlink(nsFd: number, protocol: number): number;
  /** Has a netlink socket receive what the kernel tells a group. */
  joinGroup(fd: number, group: number): number;
  /** Opens an existing file, as seen from inside the namespace behind `nsFd`: `/proc/sys/net` differs there. */
  openInNetns(nsFd: number, path: string, flags: number): number;
  /**
   * Writes small files from inside the namespace behind `nsFd`.
   *
   * @param texts alternating path and content, each NUL-terminated
   * @param outcomes one for each file: 0, or -errno
   */
  writeInNetns(nsFd: number, texts: Buffer, outcomes: Int32Array): number;
  /**
   * Reads small files from inside the namespace behind `nsFd`.
   *
   * @param paths each NUL-terminated
   * @param room has a slot of equal size for each file
   * @param outcomes one for each file: its length, or -errno; -EFBIG when it does not fit
   */
  readInNetns(nsFd: number, paths: Buffer, room: Buffer, outcomes: Int32Array): number;
  /** Sends a datagram from inside the namespace behind `nsFd`, for requests that check the sender's namespace. */
  sendInNetns(nsFd: number, fd: number, bytes: Buffer): number;
  /** A socket for frames in the namespace behind `nsFd`. */
  openPacket(nsFd: number): number;
  /** Sends a frame through a link of the socket's namespace; -ENETDOWN while the link has no carrier. */
  sendFrame(fd: number, ifIndex: number, etherType: number, destination: Buffer, payload: Buffer): number;
  /** Length of the kernel's next datagram, of which the buffer may have only the beginning. -ETIMEDOUT after `timeoutMs`. */
  receive(fd: number, into: Buffer, timeoutMs: number): number;
  /** Sends a datagram on a thread of our own; as `sendInNetns` unless `nsFd` is -1. */
  sendOnThread(nsFd: number, fd: number, bytes: Buffer): Promise<number> | number;
  /** As `receive`, on a thread of our own, which owns the buffer until the promise is settled. */
  receiveOnThread(fd: number, into: Buffer, timeoutMs: number): Promise<number> | number;
  /** CLONE_NEW…; -ENOTTY when the descriptor is not that of a namespace. */
  namespaceType(fd: number): number;
  /** The cookie of the namespace behind `nsFd`, unique until reboot; -ENOPROTOOPT before Linux 5.14. */
  netnsCookie(nsFd: number): number;
  /** flock(2) with LOCK_NB. */
  lock(fd: number, operation: number): number;
  /** A socket that listens at a path where nothing is yet. */
  listenAt(path: string, backlog: number): number;
  /** The next caller of a listening socket; -EAGAIN when none waits. */
  acceptCaller(fd: number): number;
  /** The user who has connected, by the kernel's word. */
  peerUid(fd: number): number;
  /**
   * What a caller has sent, 0 at its end; -EAGAIN when there is nothing yet.
   *
   * @param descriptor four bytes: becomes the descriptor that came with it, or -1
   */
  receiveBytes(fd: number, into: Buffer, descriptor: Buffer): number;
  /** Sends as many bytes as are taken at once; -EAGAIN for none. */
  sendBytes(fd: number, bytes: Buffer): number;
  /**
   * Calls whenever a descriptor is readable (1), writable (2) or its other end gone (4); with all of them after an error.
   *
   * @param events 0 ends it, which must be before the descriptor is closed; others are changed, the call stays
   */
  watch(fd: number, events: number, call: (happened: number) => void): number;
}

/** For the program's entry only. */
export interface NativeOfEntry extends Native {
  /** Ends the process at once: nothing is flushed, no handler runs. */
  endProcess(code: number): never;
}

/** The wording of Node or the C library; another folder does not help. */
const TOO_MANY_FILES = /too many open files/i;

const O_TMPFILE = 0o20200000;

/**
 * Loads the native part from memory, leaving no file behind. Where nothing can be written, as in a container whose root is
 * read-only, from a file beside the program, as images have it.
 *
 * @param bytes the shared object
 * @throws Error naming the folders tried, when none of them accepts the file and an executable mapping
 */
export function loadNative(bytes: Uint8Array): NativeOfEntry {
  const failures: string[] = [];
  for (const folder of ['/dev/shm', tmpdir(), dirname(process.execPath), '/run']) {
    for (const place of [openUnnamed, openUnlinked]) {
      try {
        return loadFrom(place(folder), bytes);
      } catch (error) {
        const { message } = error as Error;
        if (TOO_MANY_FILES.test(message)) {
          throw new Error(`cannot load the native part: ${message}`);
        }
        failures.push(`${folder}: ${message}`);
      }
    }
  }
  const beside = `${process.execPath}.node`;
  try {
    if (readFileSync(beside).equals(bytes)) {
      return loadNativeFile(beside);
    }
  } catch (error) {
    failures.push((error as Error).message);
  }
  throw new Error(
    `cannot load the native part from any folder (full, read-only or mounted noexec?): ${failures.join('; ')}`,
  );
}

/** Loads the native part from a file, for tests. */
export function loadNativeFile(path: string): NativeOfEntry {
  const module = { exports: {} };
  process.dlopen(module, path);
  return module.exports as NativeOfEntry;
}

function loadFrom(fd: number, bytes: Uint8Array): NativeOfEntry {
  try {
    writeAll(fd, bytes); // a truncated file would raise SIGBUS beyond its end
    return loadNativeFile(`/proc/self/fd/${fd}`);
  } finally {
    closeSync(fd);
  }
}

const openUnnamed = (folder: string): number => openSync(folder, O_TMPFILE | constants.O_RDWR, 0o700);

/** For file systems without O_TMPFILE (older overlayfs). */
function openUnlinked(folder: string): number {
  const path = join(folder, `.braid-${process.pid}-${process.hrtime.bigint()}.node`);
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o700);
  unlinkSync(path);
  return fd;
}
