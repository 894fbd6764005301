/** Devices that a kubelet gives out, and there is nothing behind them. */
import { expectSuccess } from '../cluster/request.ts';
import { GrpcClient } from '../containerd/grpc.ts';
import { until } from '../containerd/poll.ts';
import { encode, type Message, text } from '../containerd/protobuf.ts';
import { API, serveDevices } from './device-server.ts';
import type { Kubernetes } from './kubernetes.ts';
import type { Node } from './node.ts';

const FOLDER = '/var/lib/kubelet/device-plugins';

/** https://github.com/kubernetes/kubelet/blob/v0.36.3/pkg/apis/deviceplugin/v1beta1/api.proto */
const REGISTER: Message = { version: text(1), endpoint: text(2), resource: text(3) };
const TIMEOUT_MS = 10_000;
const ALLOCATABLE_MS = 300_000; // kubelets wait ever longer for one that was slow to answer

export interface DevicePlugin extends Disposable {
  readonly resource: string;
}

/** Makes devices known to the kubelet of a node. */
export async function pluginDevices(node: Node, resource: string, ids: readonly string[]): Promise<DevicePlugin> {
  const endpoint = `${resource.replaceAll('/', '_')}.sock`;
  const socket = node.pathHere(`${FOLDER}/${endpoint}`);
  const server = await serveDevices({ resource, socket, ids, allocate: () => ({}) });
  using kubelet = new GrpcClient(node.pathHere(`${FOLDER}/kubelet.sock`));
  await kubelet.call(
    '/v1beta1.Registration/Register',
    encode(REGISTER, { version: API, endpoint, resource }),
    TIMEOUT_MS,
  );
  return { resource, [Symbol.dispose]: () => server[Symbol.dispose]() };
}

/** Waits until the cluster knows what devices a node can give out: kubelets tell it every few seconds. */
export async function untilAllocatable(
  { cluster }: Kubernetes,
  node: string,
  wanted: Readonly<Record<string, string>>,
): Promise<void> {
  await until(
    `${node} to have ${JSON.stringify(wanted)}`,
    async () => {
      const { status } = await expectSuccess<{ readonly status: { readonly allocatable: Record<string, string> } }>(
        cluster.send(`/api/v1/nodes/${node}`),
      );
      const isSo = Object.entries(wanted).every(([name, count]) => status.allocatable[name] === count);
      if (!isSo) {
        throw new Error(JSON.stringify(status.allocatable));
      }
      return true;
    },
    ALLOCATABLE_MS,
  );
}
