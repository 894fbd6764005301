/** The server of a device plugin, which a kubelet asks for devices. */
import { once } from 'node:events';
import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import {
  decode,
  encode,
  type Fields,
  integer,
  list,
  type Message,
  map,
  message,
  text,
} from '../containerd/protobuf.ts';

/** https://github.com/kubernetes/kubelet/blob/v0.36.3/pkg/apis/deviceplugin/v1beta1/api.proto */
const DEVICES: Message = {
  devices: list(1, { id: text(1), health: text(2), topology: message(3, { nodes: list(1, { id: integer(1) }) }) }),
};
const ALLOCATE: Message = { containers: list(1, { ids: list(1, 'string') }) };
const ALLOCATED: Message = {
  containers: list(1, { env: map(1), nodes: list(3, { inside: text(1), outside: text(2), permissions: text(3) }) }),
};
/** https://github.com/kubernetes/kubelet/blob/v0.36.3/pkg/apis/pluginregistration/v1/api.proto */
const PLUGIN: Message = { type: text(1), name: text(2), endpoint: text(3), versions: list(4, 'string') };

export const API = 'v1beta1';

export interface Offer {
  readonly resource: string;
  /** where it is served: an absolute path here, and one for the kubelet */
  readonly socket: string;
  readonly endpoint?: string;
  readonly ids: readonly string[];
  /** what a container gets for devices */
  allocate(ids: readonly string[]): Fields;
}

/** Serves a resource to whoever knows its socket; its devices are on two NUMA nodes. */
export async function serveDevices({ resource, socket, endpoint = socket, ids, allocate }: Offer): Promise<Disposable> {
  const devices = ids.map((id, index) => ({ id, health: 'Healthy', topology: { nodes: [{ id: index % 2 }] } }));
  const allocated = (request: Buffer): Fields => ({
    containers: (decode(ALLOCATE, request)['containers'] as { ids: string[] }[]).map((one) => allocate(one.ids)),
  });
  const answers: Readonly<Record<string, (request: Buffer) => Buffer>> = {
    GetInfo: () => encode(PLUGIN, { type: 'DevicePlugin', name: resource, endpoint, versions: [API] }),
    ListAndWatch: () => encode(DEVICES, { devices }),
    Allocate: (request) => encode(ALLOCATED, allocated(request)),
  };
  const sessions: ServerHttp2Session[] = [];
  const server = createServer();
  server.on('session', (session) => sessions.push(session));
  server.on('stream', async (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => undefined);
    const method = String(headers[':path']).replace(/^.*\//, '');
    const request = await contentOf(stream);
    respond(stream, answers[method]?.(request) ?? Buffer.alloc(0), method === 'ListAndWatch');
  });
  server.listen(socket);
  await once(server, 'listening');
  return {
    [Symbol.dispose]: () => {
      server.close();
      for (const session of sessions) {
        session.destroy();
      }
    },
  };
}

const PREFIX_BYTES = 5;

async function contentOf(stream: ServerHttp2Stream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) {
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).subarray(PREFIX_BYTES);
}

/** @param isWatched a stream that stays open */
function respond(stream: ServerHttp2Stream, answer: Buffer, isWatched: boolean): void {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(answer.length, 1);
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream[isWatched ? 'write' : 'end'](Buffer.concat([prefix, answer]));
}
