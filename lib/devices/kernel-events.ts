/** Hears from the kernel when devices come, go or change: nothing is polled. */
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { decodeLink } from '../netlink/codec/link.ts';
import { errnoError } from '../netlink/errno.ts';
import { messagesIn } from '../netlink/message.ts';
import type { Native } from '../netns/native.ts';
import { isPciAddress } from '../sys/bus-device.ts';

/** IDs of devices to look at again; those that are new are seen anyway. `all`: nobody knows which. */
export type Changes = ReadonlySet<string> | 'all';

const { ENOBUFS, ETIMEDOUT } = constants.errno;

const READABLE = 1;
const NETLINK_ROUTE = 0;
const NETLINK_KOBJECT_UEVENT = 15;
/** Of the first: links, routes of both families; of the second: devices of all subsystems. */
const [RTNLGRP_LINK, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, UEVENTS] = [1, 7, 11, 1] as const;
const [RTM_NEWLINK, RTM_DELLINK, RTM_NEWROUTE, RTM_DELROUTE] = [16, 17, 24, 25] as const;
/** Kinds of links that come and go with pods; no device is below them. */
const KINDS_OF_PODS = new Set(['veth', 'tun', 'dummy']);
/** Subsystems whose devices matter. */
const SUBSYSTEMS = new Set([
  'pci',
  'auxiliary',
  'net',
  'infiniband',
  'infiniband_cm',
  'infiniband_mad',
  'infiniband_verbs',
  'vdpa',
  'uio',
]);
/** RDMA's connection manager, which all devices share. */
const MANAGER = '/misc/rdma_cm';
const AUXILIARY_NAME = /^[^.]+\.[^.]+\.\d+$/;
const SCALABLE = /^[^.]+\.sf\.\d+$/;
const LONGEST = 64 * 1024;
const NONE: Changes = new Set();

type Told = Pick<Native, 'openNetlink' | 'joinGroup' | 'receive' | 'watch'>;

/**
 * Calls after each event about a device, a link or a default route of the host, until the result is disposed of; also when
 * the kernel had to drop some, since nobody knows then what they were about.
 *
 * @param hostFd descriptor of the host's namespace
 * @throws ErrnoError
 */
export function watchKernel(native: Told, hostFd: number, happened: (changes: Changes) => void): Disposable {
  const sockets: number[] = [];
  const end = (): void => {
    for (const fd of sockets.splice(0)) {
      native.watch(fd, 0, ignore);
      closeSync(fd);
    }
  };
  try {
    for (const [protocol, groups, changesIn] of [
      [NETLINK_ROUTE, [RTNLGRP_LINK, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE], changesInRoutes],
      [NETLINK_KOBJECT_UEVENT, [UEVENTS], changesInUevent],
    ] as const) {
      const fd = done(native.openNetlink(hostFd, protocol), 'open a socket for events');
      sockets.push(fd);
      for (const group of groups) {
        done(native.joinGroup(fd, group), 'ask for events');
      }
      const buffer = Buffer.alloc(LONGEST);
      const read = (): void => {
        const changes = changesOf(native, fd, { buffer, changesIn });
        if (changes !== undefined) {
          happened(changes);
        }
      };
      done(native.watch(fd, READABLE, read), 'watch for events');
    }
  } catch (error) {
    end();
    throw error;
  }
  return { [Symbol.dispose]: end };
}

const ignore = (): void => undefined;

/** What has changed, of both. */
export const together = (a: Changes, b: Changes): Changes =>
  a === 'all' || b === 'all' ? 'all' : new Set([...a, ...b]);

interface Reading {
  readonly buffer: Buffer;
  readonly changesIn: (event: Buffer) => Changes | undefined;
}

/** Reads all that there is; undefined: nothing that matters. */
function changesOf(native: Told, fd: number, { buffer, changesIn }: Reading): Changes | undefined {
  for (let changes: Changes | undefined; ; ) {
    const length = native.receive(fd, buffer, 0);
    if (length === -ETIMEDOUT) {
      return changes;
    }
    const more = length < 0 || length > buffer.length ? 'all' : changesIn(buffer.subarray(0, length));
    changes = more === undefined ? changes : together(changes ?? NONE, more);
    if (length < 0 && length !== -ENOBUFS) {
      return changes;
    }
  }
}

/**
 * Devices that an event of a device is about: `add@/devices/…`, then `KEY=value`, each with a zero behind it.
 *
 * @returns undefined when it does not matter
 */
export function changesInUevent(event: Buffer): Changes | undefined {
  const lines = event.toString('latin1').split('\0');
  const value = (key: string): string => lines.find((line) => line.startsWith(key))?.slice(key.length) ?? '';
  const path = value('DEVPATH=') || (lines[0]?.split('@')[1] ?? '');
  if (!SUBSYSTEMS.has(value('SUBSYSTEM=')) && !path.endsWith(MANAGER)) {
    return undefined;
  }
  const ids = idsIn(path);
  return ids.length > 0 || path.endsWith(MANAGER) ? new Set(ids) : undefined;
}

/** The device that a path belongs to: the last one in it, not the bridges that it is behind. */
function idsIn(path: string): readonly string[] {
  const parts = path.split('/');
  const auxiliary = parts.findLast((part) => AUXILIARY_NAME.test(part));
  const pci = parts.findLast(isPciAddress);
  return auxiliary !== undefined && SCALABLE.test(auxiliary)
    ? [auxiliary]
    : [auxiliary, pci].filter((one) => one !== undefined);
}

/**
 * Links and default routes: no device is to be read again for them, as sysfs tells by events of its own.
 *
 * @returns undefined when they do not matter
 */
export function changesInRoutes(event: Buffer): Changes | undefined {
  const isRelevant = messagesIn(event).some(({ type, data }) => {
    switch (type) {
      case RTM_NEWLINK:
      case RTM_DELLINK:
        return !KINDS_OF_PODS.has(decodeLink(data).attributes.linkInfo?.kind ?? '');
      case RTM_NEWROUTE:
      case RTM_DELROUTE:
        return data[1] === 0; // struct rtmsg: family, length of the destination
      default:
        return false;
    }
  });
  return isRelevant ? NONE : undefined;
}

function done(outcome: number, what: string): number {
  if (outcome < 0) {
    throw errnoError(what, -outcome);
  }
  return outcome;
}
