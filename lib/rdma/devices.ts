import { RDMA_NLDEV_CMD_GET, RDMA_NLDEV_CMD_SET, RdmaTable } from '../netlink/codec/rdma.ts';
import { hasErrno } from '../netlink/errno.ts';
import type { Netns } from '../netns/netns.ts';

/** A device of the RDMA subsystem, as verbs programs open it. Name and index are the same in every namespace. */
export interface RdmaDevice {
  readonly index: number;
  /** `mlx5_9` */
  readonly name: string;
}

/** What RDMA functions need of a namespace. */
export type RdmaNetns = Pick<Netns, 'rdmaNetlink' | 'descriptor'>;

/**
 * The devices usable in a namespace: its own in exclusive mode, all in shared mode. None if the RDMA subsystem is not
 * loaded.
 *
 * @throws ErrnoError
 */
export async function listRdmaDevices(netns: RdmaNetns): Promise<readonly RdmaDevice[]> {
  try {
    return (await netns.rdmaNetlink.dump({ type: RDMA_NLDEV_CMD_GET, body: [], operation: 'list RDMA devices' }))
      .map((answer) => RdmaTable.decode(answer))
      .map(({ devIndex = 0, devName = '' }) => ({ index: devIndex, name: devName }));
  } catch (error) {
    if (isRdmaMissing(error)) {
      return [];
    }
    throw error;
  }
}

/**
 * Moves a device to another namespace. Programs that have it open lose it, and what the kernel builds on it, such as
 * IPoIB interfaces, is recreated.
 *
 * @param where completes "cannot move RDMA device …"
 * @throws ErrnoError ENODEV when the device is not in `from`, EOPNOTSUPP when its driver cannot disassociate it from
 * programs or the subsystem is in shared mode
 */
export async function moveRdmaDevice(
  { index, name }: RdmaDevice,
  from: RdmaNetns,
  to: RdmaNetns,
  where: string,
): Promise<void> {
  await from.rdmaNetlink.change({
    type: RDMA_NLDEV_CMD_SET,
    body: RdmaTable.encode({ devIndex: index, netNsFd: to.descriptor }),
    operation: `move RDMA device "${name}" ${where}`,
    whenDone: 'ENODEV',
  });
}

/** The kernel has no RDMA subsystem, or has not loaded it. */
export const isRdmaMissing = (error: unknown): boolean => hasErrno(error, 'EPROTONOSUPPORT');
