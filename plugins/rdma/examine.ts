import { confsOfType } from '../../lib/cli/confs.ts';
import type { Examined, Finding } from '../../lib/cni/findings.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { listRdmaDevices } from '../../lib/rdma/devices.ts';
import { type RdmaMode, rdmaMode } from '../../lib/rdma/mode.ts';

/** The mode of the subsystem, and whether there is any device, where a network asks for one. */
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
          text: 'the node has no RDMA device left: pods have them all, or no driver makes any',
          fix: 'look at "rdma dev" and at "braid list"; mlx5_ib, irdma and their like are loaded apart from the NIC\'s driver',
        },
      ];
}

const FINDINGS: Readonly<Record<Exclude<RdmaMode, 'exclusive'>, Finding>> = {
  shared: {
    level: 'fault',
    text: 'the RDMA subsystem is in shared mode: no device can be given to one pod alone',
    fix: 'put "options ib_core netns_mode=0" into a file of /etc/modprobe.d and boot, or run "rdma system set netns exclusive" before there is any pod',
  },
  unaware: {
    level: 'fault',
    text: 'this kernel knows no network namespaces for RDMA',
    fix: 'take Linux 5.3 or newer',
  },
  missing: {
    level: 'fault',
    text: 'the RDMA subsystem is not loaded, and a network asks for RDMA devices',
    fix: 'load "ib_core" and the RDMA module of the NIC, such as mlx5_ib',
  },
};
