/** A kubelet's socket for tests, and what the generated code of Go has put on the wire. */
import { written } from '../../../../lib/grpc/protobuf.ts';
import { answer, type FakeGrpc, type Incoming, refuse, serveGrpc } from '../../../../lib/grpc/testing/server.ts';

const GET = '/v1.PodResourcesLister/Get';
const LIST = '/v1.PodResourcesLister/List';

/** demo/web with devices of two containers, and everything else that a kubelet of 1.36 tells of a container. */
export const GOLDEN_GET = Buffer.from(
  '0ad0010a03776562120464656d6f1a9d010a03617070122d0a0b696e74656c2e636f6d2f78120c303030303a30313a31302e32120c303030303a' +
    '30313a31302e301a020a00121b0a0b696e74656c2e636f6d2f79120c303030303a30323a30302e311a040001ac0222150a066d656d6f7279108' +
    '080808080201a040a0208012a2d1201631a0464656d6f22220a070a05762f633d64120d642e6578616d706c652e636f6d1a017022056465762d' +
    '301a230a0473696465121b0a0b696e74656c2e636f6d2f78120c303030303a30313a31302e31',
  'hex',
);
export const GOLDEN_REQUEST = Buffer.from('0a03776562120464656d6f', 'hex');
/** other/web with a device, and demo/web with another. */
export const GOLDEN_LIST = Buffer.from(
  '0a300a0377656212056f746865721a220a03617070121b0a0b696e74656c2e636f6d2f78120c303030303a30393a30302e300a2f0a0377656212' +
    '0464656d6f1a220a03617070121b0a0b696e74656c2e636f6d2f78120c303030303a30313a31302e30',
  'hex',
);

export interface FakeKubelet {
  /** what it does with Get; by default what one older than 1.27 does */
  readonly get?: (incoming: Incoming) => void;
  readonly list?: (incoming: Incoming) => void;
}

const UNIMPLEMENTED = 12;
const unknownMethod = (incoming: Incoming): void =>
  refuse(incoming, UNIMPLEMENTED, 'unknown method Get for service v1.PodResourcesLister');

export function serveKubelet(
  { get = unknownMethod, list = unknownMethod }: FakeKubelet,
  at?: string,
): Promise<FakeGrpc> {
  return serveGrpc((incoming) => {
    const behave = incoming.method === GET ? get : incoming.method === LIST ? list : unknownMethod;
    behave(incoming);
  }, at);
}

/** An answer to either method. */
export const podAnswer = (
  pod: { readonly namespace: string; readonly name: string },
  devices: readonly (readonly [resource: string, ...ids: readonly string[]])[],
): Buffer =>
  written(
    1,
    Buffer.concat([
      written(1, pod.name),
      written(2, pod.namespace),
      written(
        3,
        Buffer.concat(
          devices.map(([resource, ...ids]) =>
            written(2, Buffer.concat([written(1, resource), ...ids.map((id) => written(2, id))])),
          ),
        ),
      ),
    ]),
  );

export const answering =
  (message: Uint8Array) =>
  (incoming: Incoming): void =>
    answer(incoming, message);

export const refusing =
  (status: number, message: string) =>
  (incoming: Incoming): void =>
    refuse(incoming, status, message);
