import { confsOfType } from '../../lib/cli/confs.ts';
import type { Examined, Finding } from '../../lib/cni/findings.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { listRdmaDevices } from '../../lib/rdma/devices.ts';
import { type RdmaMode, rdmaMode } from '../../lib/rdma/mode.ts';

/** Checks the mode of the RDMA subsystem and that there is a device, if a network needs one. */
export async function examine(scope: Scope, { confs }: Examined): Promise<readonly Finding[]> {
  if (confsOfType(confs, 'rdma', undefined, () => '').length === 0) {
    return [];
  }
  const mode = await rdmaMode(scope.node.host);
  if (mode !== 'exclusive') {
    return [FINDINGS[mode]];
  }
  return (await listRdmaDevices(scope.node.host)).length > 0
    ? []
    : [
        {
          level: 'warning',
          text: 'the node has no RDMA device left: pods have them all, or no driver provides any',
          fix: 'see "rdma dev" and "braid list"; RDMA modules such as mlx5_ib or irdma are separate from the NIC\'s driver',
        },
      ];
}

const FINDINGS: Readonly<Record<Exclude<RdmaMode, 'exclusive'>, Finding>> = {
  shared: {
    level: 'fault',
    text: 'the RDMA subsystem is in shared mode: no device can belong to a single pod',
    fix: 'put "options ib_core netns_mode=0" into a file in /etc/modprobe.d and reboot, or run "rdma system set netns exclusive" before the first pod starts',
  },
  unsupported: {
    level: 'fault',
    text: 'this kernel does not support network namespaces for RDMA',
    fix: 'upgrade to Linux 5.3 or newer',
  },
  missing: {
    level: 'fault',
    text: 'the RDMA subsystem is not loaded, but a network needs RDMA devices',
    fix: 'load "ib_core" and the RDMA module of the NIC, such as mlx5_ib',
  },
};
