import { LazyClient, type Reached } from '../../../lib/kube/lazy-client.ts';

/** Where the Go plugin's installer puts everything, when the context names no namespace. */
const NAMESPACE = 'kube-system';

/** Each reservation is a request of its own, and a pod has many; but each connection costs a handshake. */
const CONNECTIONS = 2;

/** A server that has too much to do answers late, and to be asked again does not help it. */
const TIMEOUT_MS = 10_000;

/** The API server that has the pools. */
export const accessTo = (reached: Reached): LazyClient =>
  new LazyClient(reached, { namespace: NAMESPACE, connections: CONNECTIONS, timeoutMs: TIMEOUT_MS });
