import { CniError } from '../../lib/cni/errors.ts';
import { rdmaModuleOf } from '../../lib/rdma/bus.ts';
import type { RdmaDevice } from '../../lib/rdma/devices.ts';

/** What is known of a bus device's RDMA device before anything is done. */
export interface Facts {
  /** `0000:65:02.3` */
  readonly deviceId: string;
  /** bound to the bus device; '' when none is */
  readonly driver: string;
  /** the driver hands the bus device to a program */
  readonly isUserspace: boolean;
  /** what sysfs shows below the bus device on the host */
  readonly visible: readonly string[];
  /** what else says how its RDMA devices are called, wherever they are */
  readonly hidden: readonly string[];
  /** every RDMA device of the host's namespace, and of the pod's */
  readonly onHost: readonly RdmaDevice[];
  readonly inPod: readonly RdmaDevice[];
}

export interface Plan {
  readonly device: RdmaDevice;
  /** an ADD that was killed has moved it already */
  readonly isInPod: boolean;
}

/**
 * Which RDMA device goes into the pod.
 *
 * @throws CniError invalidNetworkConfig when there is not exactly one; tryAgainLater when a third namespace has it
 */
export function planMove(facts: Facts): Plan {
  const names = facts.visible.length > 0 ? facts.visible : facts.hidden;
  const [name, ...others] = names;
  if (name === undefined) {
    throw refusal(`cannot find an RDMA device of "${facts.deviceId}": ${reasonForNone(facts)}`);
  }
  if (others.length > 0) {
    const all = names.map((each) => `"${each}"`).join(', ');
    throw refusal(`cannot choose the RDMA device of "${facts.deviceId}": it has several, ${all}, and one is supported`);
  }
  const named = (devices: readonly RdmaDevice[]): RdmaDevice | undefined => devices.find((each) => each.name === name);
  const [inPod, onHost] = [named(facts.inPod), named(facts.onHost)];
  const device = inPod ?? onHost;
  if (device === undefined) {
    throw new CniError(
      'tryAgainLater',
      `cannot give RDMA device "${name}" of "${facts.deviceId}" to the pod: it is in another network namespace: a pod has ` +
        'it, or had it and has not ended yet',
    );
  }
  return { device, isInPod: inPod !== undefined };
}

function reasonForNone({ driver, isUserspace }: Facts): string {
  if (driver === '') {
    return 'no driver is bound to it';
  }
  if (isUserspace) {
    return `its driver "${driver}" hands it to a program, and then it has none`;
  }
  const module = rdmaModuleOf(driver);
  const load = module === undefined ? "load the driver's RDMA module, if there is one" : `load the module "${module}"`;
  return `its driver "${driver}" has made none: ${load}, and see with devlink(8) that RDMA is on for the device`;
}

const refusal = (message: string): CniError => new CniError('invalidNetworkConfig', message);
