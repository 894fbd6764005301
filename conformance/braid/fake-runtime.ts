/** A container runtime that has the sandboxes that it is given, whoever changes them, and answers nothing else. */
import { once } from 'node:events';
import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { RPCS } from '../containerd/cri-messages.ts';
import { encode } from '../containerd/protobuf.ts';

const PREFIX_BYTES = 5;

export async function serveSandboxes(socket: string, ids: readonly string[]): Promise<AsyncDisposable> {
  const answers: Readonly<Record<string, () => Buffer>> = {
    Version: () => encode(RPCS.Version.response, { version: '0.1.0', runtimeName: 'fake', runtimeVersion: 'v1' }),
    ListPodSandbox: () => encode(RPCS.ListPodSandbox.response, { items: ids.map((id) => ({ id })) }),
  };
  const sessions: ServerHttp2Session[] = [];
  const server = createServer();
  server.on('session', (session) => sessions.push(session));
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => undefined);
    const answer = answers[String(headers[':path']).replace(/^.*\//, '')]?.() ?? Buffer.alloc(0);
    const prefix = Buffer.alloc(PREFIX_BYTES);
    prefix.writeUInt32BE(answer.length, 1);
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(Buffer.concat([prefix, answer]));
  });
  server.listen(socket);
  await once(server, 'listening');
  return {
    [Symbol.asyncDispose]: async () => {
      for (const session of sessions) {
        session.destroy();
      }
      server.close();
      await once(server, 'close');
    },
  };
}
