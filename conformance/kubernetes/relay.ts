/** `node relay.ts SOCKET HOST PORT`: passes what comes to a Unix socket on to a port, of the namespace that it runs in. */
import { connect, createServer, type Socket } from 'node:net';

const [socket, host = '', port] = process.argv.slice(2);

const pass = (from: Socket, to: Socket): void => {
  from.on('error', () => to.destroy());
  from.pipe(to);
};

createServer({ allowHalfOpen: true }, (here) => {
  const there = connect({ host, port: Number(port), allowHalfOpen: true });
  pass(here, there);
  pass(there, here);
}).listen(socket);
