import type { AttachmentCall } from '../../lib/cni/call.ts';
import { CniError } from '../../lib/cni/errors.ts';
import { lookUp } from '../../lib/cni/json.ts';
import { previousResult } from '../../lib/cni/previous.ts';
import type { Result } from '../../lib/cni/result.ts';

/**
 * The result of the plugin before this one.
 *
 * @throws CniError invalidNetworkConfig when there is none: rdma gives a device to an attachment that another plugin
 * makes; internal when its version does not go with the configuration's
 */
export function demandPrevious(call: AttachmentCall<unknown>): Result {
  if ((lookUp(call.document, 'prevResult') ?? null) === null) {
    throw new CniError(
      'invalidNetworkConfig',
      'cannot run rdma by itself: "prevResult" is missing: put it into a list of plugins, after the one that attaches ' +
        'the device, such as sriov or host-device',
    );
  }
  return previousResult(call);
}
