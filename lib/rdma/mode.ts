import { NETNS_SHARED, RDMA_NLDEV_CMD_SYS_GET, RdmaTable } from '../netlink/codec/rdma.ts';
import { hasErrno } from '../netlink/errno.ts';
import { isRdmaMissing, type RdmaNetns } from './devices.ts';

/**
 * How the kernel shares RDMA devices between network namespaces. `unsupported`: no namespaces for RDMA (before Linux
 * 5.3); `missing`: the subsystem is not loaded.
 */
export type RdmaMode = 'exclusive' | 'shared' | 'unsupported' | 'missing';

/** @throws ErrnoError */
export async function rdmaMode(netns: RdmaNetns): Promise<RdmaMode> {
  try {
    const answer = await netns.rdmaNetlink.ask({
      type: RDMA_NLDEV_CMD_SYS_GET,
      body: [],
      operation: 'read the mode of the RDMA subsystem',
    });
    const { netnsMode } = RdmaTable.decode(answer);
    return netnsMode === undefined ? 'unsupported' : netnsMode === NETNS_SHARED ? 'shared' : 'exclusive';
  } catch (error) {
    if (isRdmaMissing(error)) {
      return 'missing';
    }
    if (hasErrno(error, 'EINVAL', 'EOPNOTSUPP')) {
      return 'unsupported'; // the kernel does not support the request
    }
    throw error;
  }
}

/**
 * Why devices cannot be given to one namespace, and what to do.
 *
 * @returns a whole message, or undefined in exclusive mode
 */
export function modeFault(mode: RdmaMode): string | undefined {
  switch (mode) {
    case 'exclusive':
      return undefined;
    case 'shared':
      return (
        'cannot give an RDMA device to one pod: the RDMA subsystem is in shared mode: run "rdma system set netns exclusive" ' +
        'before any other network namespace exists, or boot with ib_core.netns_mode=0 ' +
        '(or "options ib_core netns_mode=0" in a file in /etc/modprobe.d)'
      );
    case 'unsupported':
      return 'cannot give an RDMA device to one pod: this kernel does not support network namespaces for RDMA: Linux 5.3 or newer is required';
    case 'missing':
      return (
        'cannot use RDMA: the RDMA subsystem is not loaded: load the module "ib_core" and the RDMA module of the ' +
        "device's driver, such as mlx5_ib for mlx5_core"
      );
  }
}
