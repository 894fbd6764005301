import type { AttachmentCall } from '../../lib/cni/call.ts';
import { CniError } from '../../lib/cni/errors.ts';
import { lookUp } from '../../lib/cni/json.ts';
import { previousResult } from '../../lib/cni/previous.ts';
import type { Result } from '../../lib/cni/result.ts';

/**
 * The result of the previous plugin.
 *
 * @throws CniError invalidNetworkConfig when there is none: tuning needs an interface that another plugin makes;
 * internal when its version differs from the configuration's
 */
export function requirePrevious(call: AttachmentCall<unknown>): Result {
  if ((lookUp(call.document, 'prevResult') ?? null) === null) {
    throw new CniError(
      'invalidNetworkConfig',
      'cannot run tuning on its own: "prevResult" is missing: put it into a plugin list, after the plugin that makes the interface',
    );
  }
  return previousResult(call);
}
