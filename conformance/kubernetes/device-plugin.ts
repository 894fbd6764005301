/** A device plugin: a kubelet gives out the devices that it names. There is nothing behind them. */
import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { GrpcClient } from '../containerd/grpc.ts';
import { encode, integer, list, type Message, message, text } from '../containerd/protobuf.ts';
import type { Node } from './node.ts';

const FOLDER = '/var/lib/kubelet/device-plugins';

/** https://github.com/kubernetes/kubelet/blob/v0.36.3/pkg/apis/deviceplugin/v1beta1/api.proto */
const REGISTER: Message = { version: text(1), endpoint: text(2), resource: text(3) };
const DEVICES: Message = {
  devices: list(1, { id: text(1), health: text(2), topology: message(3, { nodes: list(1, { id: integer(1) }) }) }),
};
const ALLOCATED: Message = { containers: list(1, {}) };
const TIMEOUT_MS = 10_000;

export interface DevicePlugin extends Disposable {
  readonly resource: string;
}

/** Makes devices known to the kubelet of a node, on two NUMA nodes. */
export async function pluginDevices(node: Node, resource: string, ids: readonly string[]): Promise<DevicePlugin> {
  const endpoint = `${resource.replaceAll('/', '_')}.sock`;
  const devices = ids.map((id, index) => ({ id, health: 'Healthy', topology: { nodes: [{ id: index % 2 }] } }));
  const answers: Readonly<Record<string, Buffer>> = {
    GetDevicePluginOptions: Buffer.alloc(0),
    ListAndWatch: encode(DEVICES, { devices }),
    Allocate: encode(ALLOCATED, { containers: [{}] }), // kubelets ask for one container at a time
  };
  const sessions: ServerHttp2Session[] = [];
  const server = createServer();
  server.on('session', (session) => sessions.push(session));
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => undefined);
    stream.resume();
    const method = String(headers[':path']).replace(/^.*\//, '');
    respond(stream, answers[method] ?? Buffer.alloc(0), method === 'ListAndWatch');
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(node.pathHere(`${FOLDER}/${endpoint}`), resolve);
  });
  using kubelet = new GrpcClient(node.pathHere(`${FOLDER}/kubelet.sock`));
  await kubelet.call(
    '/v1beta1.Registration/Register',
    encode(REGISTER, { version: 'v1beta1', endpoint, resource }),
    TIMEOUT_MS,
  );
  return {
    resource,
    [Symbol.dispose]: () => {
      server.close();
      for (const session of sessions) {
        session.destroy();
      }
    },
  };
}

/** @param isWatched a stream that stays open */
function respond(stream: ServerHttp2Stream, answer: Buffer, isWatched: boolean): void {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(answer.length, 1);
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream[isWatched ? 'write' : 'end'](Buffer.concat([prefix, answer]));
}
