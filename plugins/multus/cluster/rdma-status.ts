/** What RDMA programs must know of an attachment: NCCL_IB_HCA and NCCL_IB_GID_INDEX are often set by it. */
import { globSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type Ip, ipFromBytes, sameIp } from '../../../lib/net/ip.ts';
import { rdmaNamesAnywhere } from '../../../lib/rdma/bus.ts';
import { type BusDevice, rdmaNamesOf } from '../../../lib/sys/bus-device.ts';

/** As the annotation shows it. */
export interface RdmaStatus {
  /** `mlx5_9` */
  readonly device: string;
  readonly port?: number;
  /** of RoCE v2 */
  readonly 'gid-index'?: number;
}

export interface RdmaQuestion {
  /** of the attachment, in the pod */
  readonly ifName: string;
  /** addresses of the attachment, the most important one first */
  readonly ips: readonly Ip[];
  /** that the attachment has; undefined for one that shares its parent's */
  readonly device: BusDevice | undefined;
  /** root of a sysfs that shows the RDMA devices of the pod */
  readonly sysfs: string;
}

/** An entry of a port's table of addresses. */
interface Gid {
  readonly device: string;
  readonly port: number;
  readonly index: number;
  readonly ip: Ip;
  readonly netName: string | undefined;
}

const ROCE_2 = 'RoCE v2';

/**
 * The RDMA device of an attachment and where its address is among those of the port. Without a device of its own it is
 * known by its address alone: its interface has the same name in other pods.
 *
 * @returns undefined when there is no such device, or more than one may be meant; no index before the kernel has put the
 * address into the table, which takes it some milliseconds, and none for InfiniBand
 */
export function rdmaStatusOf({ ifName, ips, device, sysfs }: RdmaQuestion): RdmaStatus | undefined {
  const names = device === undefined ? namesIn(join(sysfs, 'class/infiniband')) : namesOf(device);
  const gids = names.flatMap((name) => gidsOf(sysfs, name));
  const own = gids.filter(({ netName }) => netName === ifName || (netName === undefined && device !== undefined));
  const found = ips.map((ip) => own.filter((gid) => sameIp(gid.ip, ip))).find((all) => all.length > 0) ?? [];
  const [gid] = found;
  if (gid !== undefined && new Set(found.map((one) => one.device)).size === 1) {
    return { device: gid.device, port: gid.port, 'gid-index': gid.index };
  }
  const [name] = names;
  return device !== undefined && name !== undefined && names.length === 1 ? { device: name } : undefined;
}

/** Those that sysfs shows with their files, else those of which only the verbs device is seen. */
function namesOf(device: BusDevice): readonly string[] {
  const shown = rdmaNamesOf(device);
  return shown.length > 0 ? shown : rdmaNamesAnywhere(device);
}

/** Documentation/ABI/stable/sysfs-class-infiniband: empty entries cannot be read. */
const gidsOf = (sysfs: string, device: string): readonly Gid[] =>
  globSync('ports/*/gid_attrs/types/*', { cwd: join(sysfs, 'class/infiniband', device) })
    .map((path) => ({ index: Number(basename(path)), port: dirname(dirname(dirname(path))) }))
    .sort((a, b) => a.index - b.index)
    .flatMap(({ index, port }) => {
      const root = join(sysfs, 'class/infiniband', device, port);
      const ip = ipOfGid(textAt(join(root, 'gids', String(index))) ?? '');
      return textAt(join(root, 'gid_attrs/types', String(index))) === ROCE_2 && ip !== undefined
        ? [
            {
              device,
              port: Number(basename(port)),
              index,
              ip,
              netName: textAt(join(root, 'gid_attrs/ndevs', String(index))),
            },
          ]
        : [];
    });

/** `0000:0000:0000:0000:0000:ffff:c000:0205` is 192.0.2.5. */
function ipOfGid(text: string): Ip | undefined {
  if (!/^([0-9a-f]{4}:){7}[0-9a-f]{4}$/.test(text)) {
    return undefined;
  }
  const bytes = Buffer.from(text.replaceAll(':', ''), 'hex');
  const isIpv4 = bytes.subarray(0, 12).equals(IPV4_MAPPED);
  return ipFromBytes(isIpv4 ? bytes.subarray(12) : bytes);
}

const IPV4_MAPPED = Buffer.concat([Buffer.alloc(10), Buffer.from([0xff, 0xff])]);

function textAt(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined; // EINVAL for an entry that is not in use
  }
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return []; // the RDMA subsystem is not loaded
  }
}
