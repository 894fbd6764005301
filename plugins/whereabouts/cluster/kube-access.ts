import type { KubeApi } from '../../../lib/kube/api.ts';
import { CLIENTS, LazyClient, type Reached } from '../../../lib/kube/lazy-client.ts';
import type { Node } from '../../../lib/node/node.ts';

/** Where the Go plugin's installer puts everything, when the context names no namespace. */
const NAMESPACE = 'kube-system';

/** Each reservation is a request of its own, and a pod has many; but each connection costs a handshake. */
const CONNECTIONS = 2;

/** A server that has too much to do answers late, and to be asked again does not help it. */
const TIMEOUT_MS = 10_000;

/** The API server that has the pools, with connections of its own. */
export const accessTo = (reached: Reached): LazyClient =>
  new LazyClient(reached, { namespace: NAMESPACE, connections: CONNECTIONS, timeoutMs: TIMEOUT_MS });

/** The same over the connections of the process, which multus has opened where it is in a cluster too. */
export function sharedAccess(
  reached: Reached,
  node: Pick<Node, 'shared' | 'observe'>,
): { open(): Promise<KubeApi> } & Disposable {
  const client = node.shared(CLIENTS).at(reached, node);
  return {
    open: () => client.open(undefined, { namespace: NAMESPACE, timeoutMs: TIMEOUT_MS }),
    [Symbol.dispose]: () => undefined,
  };
}
