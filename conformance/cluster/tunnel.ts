/** The API server on the loopback of another network namespace, where the node of a lab is. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mustRun } from '../lab/execute.ts';

/** What runs inside: connections to the port go through the socket, which is no matter of namespaces. */
const INSIDE = `
const { connect, createServer } = require('node:net');
const [port, path] = process.argv.slice(1);
createServer((one) => {
  const other = connect(path);
  for (const socket of [one, other]) socket.on('error', () => { one.destroy(); other.destroy(); });
  one.pipe(other).pipe(one);
}).listen(Number(port), '127.0.0.1', () => console.log('ready'));
`;

/**
 * Makes a server of this host's loopback reachable at the same address in a namespace.
 *
 * @param url of the server
 */
export async function openTunnel(url: string, namespace: string): Promise<AsyncDisposable> {
  const port = new URL(url).port;
  const folder = mkdtempSync(join(tmpdir(), 'braid-tunnel-'));
  const path = join(folder, 'socket');
  const sockets = new Set<Socket>();
  const outside = await listen(path, Number(port), sockets);
  await mustRun(['ip', '-n', namespace, 'link', 'set', 'lo', 'up']);
  const inside = spawn('ip', ['netns', 'exec', namespace, process.execPath, '-e', INSIDE, port, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(inside.stdout, 'data');
  return {
    [Symbol.asyncDispose]: async () => {
      const ended = once(inside, 'exit');
      inside.kill('SIGKILL');
      await ended;
      for (const socket of sockets) {
        socket.destroy();
      }
      outside.close();
      rmSync(folder, { recursive: true });
    },
  };
}

async function listen(path: string, port: number, sockets: Set<Socket>): Promise<Server> {
  const server = createServer((one) => {
    const other = connect(port, '127.0.0.1');
    for (const socket of [one, other]) {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      socket.on('error', () => {
        one.destroy();
        other.destroy();
      });
    }
    one.pipe(other).pipe(one);
  });
  server.listen(path);
  await once(server, 'listening');
  return server;
}
