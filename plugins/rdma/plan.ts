import { CniError } from '../../lib/cni/errors.ts';
import { rdmaModuleOf } from '../../lib/rdma/bus.ts';
import type { RdmaDevice } from '../../lib/rdma/devices.ts';

/** What is known about a bus device's RDMA device before anything changes. */
export interface Facts {
  /** `0000:65:02.3` */
  readonly deviceId: string;
  /** bound to the bus device; '' when none is */
  readonly driver: string;
  /** it is a userspace driver */
  readonly isUserspace: boolean;
  /** names that sysfs shows below the bus device on the host */
  readonly visible: readonly string[];
  /** names of its RDMA devices from other sources, wherever the devices are */
  readonly hidden: readonly string[];
  /** every RDMA device of the host's namespace, and of the pod's */
  readonly onHost: readonly RdmaDevice[];
  readonly inPod: readonly RdmaDevice[];
}

export interface Plan {
  readonly device: RdmaDevice;
  /** a killed ADD has already moved it */
  readonly isInPod: boolean;
}

/**
 * Chooses the RDMA device that goes into the pod.
 *
 * @throws CniError invalidNetworkConfig unless there is exactly one; tryAgainLater when it is in a third namespace
 */
export function planMove(facts: Facts): Plan {
  const names = facts.visible.length > 0 ? facts.visible : facts.hidden;
  const [name, ...others] = names;
  if (name === undefined) {
    throw refusal(`cannot find an RDMA device of "${facts.deviceId}": ${reasonForNone(facts)}`);
  }
  if (others.length > 0) {
    const all = names.map((each) => `"${each}"`).join(', ');
    throw refusal(`cannot choose the RDMA device of "${facts.deviceId}": it has ${all}, and only one is supported`);
  }
  const named = (devices: readonly RdmaDevice[]): RdmaDevice | undefined => devices.find((each) => each.name === name);
  const [inPod, onHost] = [named(facts.inPod), named(facts.onHost)];
  const device = inPod ?? onHost;
  if (device === undefined) {
    throw new CniError(
      'tryAgainLater',
      `cannot move RDMA device "${name}" of "${facts.deviceId}" into the container: it is in another network namespace: a pod ` +
        'has it, or a leftover process still holds the namespace',
    );
  }
  return { device, isInPod: inPod !== undefined };
}

function reasonForNone({ driver, isUserspace }: Facts): string {
  if (driver === '') {
    return 'no driver is bound to it';
  }
  if (isUserspace) {
    return `its driver "${driver}" is a userspace driver`;
  }
  const module = rdmaModuleOf(driver);
  const load = module === undefined ? "load the driver's RDMA module, if there is one" : `load the module "${module}"`;
  return `its driver "${driver}" has created none: ${load}, and check with devlink(8) that RDMA is enabled for the device`;
}

const refusal = (message: string): CniError => new CniError('invalidNetworkConfig', message);
