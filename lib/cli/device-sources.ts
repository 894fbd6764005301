import { join } from 'node:path';
import type { Scope } from '../cni/scope.ts';
import { Companions } from '../devices/companions.ts';
import { listHolders } from '../devices/kubelet/holders.ts';
import { SharedRdmaSource } from '../devices/shared-rdma/source.ts';
import type { Source } from '../devices/source.ts';
import { SriovSource } from '../devices/sriov/source.ts';
import { rdmaMode } from '../rdma/mode.ts';

/** Configurations of devices, as options name them. */
export interface DeviceFiles {
  readonly sriov: string | undefined;
  /** prefix of SR-IOV resources that name none */
  readonly prefix: string;
  readonly rdma: string | undefined;
  /** device files are given by the runtime */
  readonly useCdi: boolean;
  /** folder of the kubelet */
  readonly kubelet: string;
}

/** Who asks is not kept waiting: a choice is a hint. */
const LIST_MS = 500;

/** @param root in front of `/sys`, `/dev` and `/var/run` */
export function deviceSources(
  files: DeviceFiles,
  { node, now }: Pick<Scope, 'node' | 'now'>,
  root: string,
): readonly Source[] {
  const options = { root, useCdi: files.useCdi };
  const socket = join(files.kubelet, 'pod-resources', 'kubelet.sock');
  const companions = new Companions({ root, now, list: () => listHolders(socket, AbortSignal.timeout(LIST_MS)) });
  const demand = async (): Promise<void> => {
    if ((await rdmaMode(node.host)) === 'exclusive') {
      throw new Error(
        'cannot share RDMA devices between pods: the RDMA subsystem is in exclusive mode: run "rdma system set netns shared" before any other network namespace exists',
      );
    }
  };
  return [
    ...(files.sriov === undefined ? [] : [new SriovSource(files.sriov, files.prefix, { ...options, companions })]),
    ...(files.rdma === undefined ? [] : [new SharedRdmaSource(files.rdma, { ...options, demand })]),
  ];
}
