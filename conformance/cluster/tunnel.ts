/** The API server on the loopback of another network namespace, where the node of a lab is. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Transform } from 'node:stream';
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

export interface Tunnel extends AsyncDisposable {
  /** how long all data takes, in each direction */
  delayMs: number;
}

/**
 * Makes a server of this host's loopback reachable at the same address in a namespace.
 *
 * @param url of the server
 */
export async function openTunnel(url: string, namespace: string): Promise<Tunnel> {
  const port = new URL(url).port;
  const folder = mkdtempSync(join(tmpdir(), 'braid-tunnel-'));
  const path = join(folder, 'socket');
  const sockets = new Set<Socket>();
  const tunnel: Pick<Tunnel, 'delayMs'> = { delayMs: 0 };
  const outside = await listen(path, Number(port), { sockets, tunnel });
  await mustRun(['ip', '-n', namespace, 'link', 'set', 'lo', 'up']);
  const inside = spawn('ip', ['netns', 'exec', namespace, process.execPath, '-e', INSIDE, port, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(inside.stdout, 'data');
  return Object.assign(tunnel, {
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
  });
}

interface Shared {
  readonly sockets: Set<Socket>;
  readonly tunnel: Pick<Tunnel, 'delayMs'>;
}

async function listen(path: string, port: number, { sockets, tunnel }: Shared): Promise<Server> {
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
    one.pipe(delayed(tunnel)).pipe(other).pipe(delayed(tunnel)).pipe(one);
  });
  server.listen(path);
  await once(server, 'listening');
  return server;
}

/** As over a long way: a chunk arrives later, and the next one need not wait for it. */
function delayed(tunnel: Pick<Tunnel, 'delayMs'>): Transform {
  const way: Transform = new Transform({
    transform: (chunk, _, done) => {
      setTimeout(() => way.push(chunk), tunnel.delayMs);
      done();
    },
    flush: (done) => {
      setTimeout(done, tunnel.delayMs);
    },
  });
  return way;
}
