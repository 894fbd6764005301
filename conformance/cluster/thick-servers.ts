/** Who answers multus-shim on a node: the Go daemon, or our agent. Both are pods of the cluster for what they ask it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { STANDALONE } from '../lab/programs.ts';
import { installThick } from '../peers/peers.ts';
import type { Cluster } from './cluster.ts';
import type { MultusLab } from './multus-lab.ts';
import { type ServerProcess, startProcess } from './server-process.ts';

export type Whose = 'ours' | 'go';

export interface ThickServer extends AsyncDisposable {
  readonly socket: string;
  readonly process: ServerProcess;
  ask(path: string, options?: Asking): Promise<Answer>;
}

export interface Asking {
  readonly method?: string;
  readonly body?: string | object;
}

export interface Answer {
  readonly status: number;
  readonly type: string | undefined;
  readonly body: string;
}

const PATIENCE_MS = 60_000;

/** A service account as a pod has it; `ip netns exec` gives mounts of one's own. */
const IN_POD = [
  'mount -t tmpfs none /var',
  'mkdir -p /var/run/secrets/kubernetes.io/serviceaccount /var/lib/cni',
  'cp "$0"/token "$0"/ca.crt /var/run/secrets/kubernetes.io/serviceaccount/',
  'exec "$@"',
].join(' && ');

/**
 * Starts one of them on the lab's node.
 *
 * @param more keys of its daemon-config.json
 */
export async function startThick(
  whose: Whose,
  cluster: Cluster,
  lab: MultusLab,
  more: object = {},
): Promise<ThickServer> {
  const folder = lab.lab.folder(`thick-${whose}`);
  const [account, confs, run] = ['account', 'net.d', 'run'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  for (const path of [account, confs, run]) {
    mkdirSync(path, { mode: 0o700, recursive: true });
  }
  writeFileSync(join(account, 'token'), cluster.token);
  writeFileSync(join(account, 'ca.crt'), cluster.ca);
  writeFileSync(join(confs, '10-own.conflist'), JSON.stringify(PRIMARY));
  const config = join(folder, 'daemon-config.json');
  const document = { cniVersion: '1.1.0', socketDir: run, cniDir: join(folder, 'cni'), ...more };
  const both = {
    logToStderr: true,
    logLevel: 'verbose',
    cniConfigDir: confs,
    multusAutoconfigDir: confs,
    binDir: lab.lab.folder('fake'),
  };
  writeFileSync(config, JSON.stringify({ ...document, ...both }));
  const { hostname, port } = new URL(cluster.url);
  const enter = [
    ...['ip', 'netns', 'exec', lab.lab.node, 'env', `KUBERNETES_SERVICE_HOST=${hostname}`],
    ...[`KUBERNETES_SERVICE_PORT=${port}`, `NOTES=${join(folder, 'notes')}`, 'sh', '-c', IN_POD, account],
  ];
  const process =
    whose === 'go'
      ? startProcess(join(installThick(), 'multus-daemon'), ['-config', config], folder, { enter, forks: false })
      : startProcess(
          join(STANDALONE, 'braid'),
          ['agent', '--socket', join(run, 'agent.sock'), '--multus-config', config],
          folder,
          { enter, forks: false },
        );
  const socket = join(run, 'multus.sock');
  const server: ThickServer = {
    socket,
    process,
    ask: (path, asking) => ask(socket, path, asking),
    [Symbol.asyncDispose]: () => process.kill(),
  };
  await untilReady(server);
  return server;
}

const PRIMARY = {
  cniVersion: '1.1.0',
  name: 'own',
  plugins: [{ type: 'plain', capabilities: { ips: true, mac: false } }],
};

async function untilReady(server: ThickServer): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const answer = await server.ask('/healthz').catch(() => undefined);
    if (answer?.status === 200) {
      return;
    }
    if (performance.now() > deadline || server.process.hasEnded()) {
      throw new Error(`it does not answer: ${server.process.lastWords()}`);
    }
    await sleep(100);
  }
}

function ask(socketPath: string, path: string, { method = 'POST', body = '' }: Asking = {}): Promise<Answer> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, method, agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', () =>
        resolve({
          status: answer.statusCode ?? 0,
          type: answer.headers['content-type'],
          body: Buffer.concat(chunks).toString('utf8'),
        }),
      );
    });
    sent.on('error', reject);
    sent.end(text);
  });
}
