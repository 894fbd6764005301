import type { Delegate } from './delegates.ts';

/** A network of a pod, as long as it is not known which devices the pod has. */
export interface Network {
  /** of the device that it needs; '' for none */
  readonly resourceName: string;
  /**
   * What is to be run.
   *
   * @param deviceId of the device that the pod has for it
   * @throws CniError when its configuration cannot be used
   */
  plan(deviceId: string | undefined): Delegate;
}

/** A network that needs no device. */
export const fixed = (delegate: Delegate): Network => ({ resourceName: '', plan: () => delegate });
