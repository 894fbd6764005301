/** Of the CRI (`runtime.v1`) what a test of pod sandboxes needs, as tables: numbers are those of its api.proto. */
import { boolean, integer, list, type Message, map, message, text } from './protobuf.ts';

const metadata: Message = { name: text(1), uid: text(2), namespace: text(3), attempt: integer(4) };

const portMapping: Message = {
  protocol: integer(1),
  containerPort: integer(2),
  hostPort: integer(3),
  hostIp: text(4),
};

const securityContext: Message = { namespaceOptions: message(1, { network: integer(1), pid: integer(2) }) };

const sandboxConfig: Message = {
  metadata: message(1, metadata),
  hostname: text(2),
  dnsConfig: message(4, { servers: list(1, 'string') }),
  portMappings: list(5, portMapping),
  annotations: map(7),
  linux: message(8, { cgroupParent: text(1), securityContext: message(2, securityContext) }),
};

const network: Message = { ip: text(1), additionalIps: list(2, { ip: text(1) }) };
const condition: Message = { type: text(1), status: boolean(2), reason: text(3), message: text(4) };
const sandbox: Message = { id: text(1), metadata: message(2, metadata), state: integer(3) };
const sandboxId: Message = { podSandboxId: text(1) };

/** `linux.securityContext.namespaceOptions.network`: that of the node. */
export const NODE_NETWORK = 2;

/** State of a sandbox whose processes live. */
export const READY = 0;

export interface Rpc {
  readonly request: Message;
  readonly response: Message;
}

/** Calls of `runtime.v1.RuntimeService`. */
export const RPCS = {
  Version: { request: {}, response: { version: text(1), runtimeName: text(2), runtimeVersion: text(3) } },
  Status: {
    request: { verbose: boolean(1) },
    response: { status: message(1, { conditions: list(1, condition) }), info: map(2) },
  },
  RunPodSandbox: { request: { config: message(1, sandboxConfig) }, response: sandboxId },
  StopPodSandbox: { request: sandboxId, response: {} },
  RemovePodSandbox: { request: sandboxId, response: {} },
  PodSandboxStatus: {
    request: { podSandboxId: text(1), verbose: boolean(2) },
    response: { status: message(1, { id: text(1), state: integer(3), network: message(5, network) }), info: map(2) },
  },
  ListPodSandbox: { request: {}, response: { items: list(1, sandbox) } },
} as const satisfies Readonly<Record<string, Rpc>>;
