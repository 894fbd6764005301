import { withPrefix } from '../../../lib/cni/errors.ts';
import { planDelegate } from '../delegates.ts';
import { inject } from '../devices/inject.ts';
import type { Network } from '../network.ts';
import type { Definition } from './definitions.ts';
import type { NetworkSelection } from './selection.ts';

/** The network of a definition, as a pod asks for it. */
export function definedNetwork(
  definition: Definition,
  { requests, cniArgs }: Pick<NetworkSelection, 'requests' | 'cniArgs'> = { requests: {}, cniArgs: undefined },
): Network {
  const { name, resourceName } = definition;
  return {
    resourceName,
    plan: (deviceId) => {
      try {
        const { document, bytes } = inject(definition, '', { deviceId, cniArgs });
        const delegate = planDelegate(document, '', bytes);
        const id = deviceId ?? requests.deviceId;
        return {
          ...delegate,
          name,
          requests: {
            ...requests,
            ...(id === undefined ? {} : { deviceId: id }),
            ...(resourceName === '' ? {} : { resourceName }),
          },
        };
      } catch (error) {
        throw withPrefix(`network-attachment-definition "${name}"`, error);
      }
    },
  };
}
