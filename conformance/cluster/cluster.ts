/** A Kubernetes API server over etcd, on loopback unless told: no scheduler, no controllers, no kubelet. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Send, senderTo, type Target } from './request.ts';
import { type Elsewhere, type ServerProcess, startProcess } from './server-process.ts';
import { installServers } from './servers.ts';

export interface ClusterOptions {
  readonly authorization?: 'RBAC' | 'AlwaysAllow' | 'Node,RBAC';
  /** PEM: of clients that show a certificate */
  readonly clientCa?: string;
  /** the folder in which it makes its own: that for temporary files unless told */
  readonly parent?: string;
  /** where it runs, and how it is reached from here */
  readonly site?: Site;
  /** who may log in besides the administrator */
  readonly users?: readonly User[];
  /** pods get the account of their namespace, which a controller must make */
  readonly hasServiceAccounts?: boolean;
}

export interface Site {
  readonly elsewhere: Elsewhere;
  readonly address: string;
  readonly port: number;
  /** a Unix socket that leads to it */
  readonly socket: string;
}

export interface User {
  readonly name: string;
  readonly group: string;
  readonly token: string;
}

/** For whom a kubeconfig is. */
export interface Login {
  readonly token: string;
  /** of the context */
  readonly namespace?: string;
  /** instead of the API server's own */
  readonly url?: string;
}

export interface Cluster extends AsyncDisposable {
  readonly url: string;
  /** its own, removed at the end */
  readonly folder: string;
  /** PEM */
  readonly ca: string;
  /** of an administrator */
  readonly token: string;
  readonly etcd: ServerProcess;
  readonly apiServer: () => ServerProcess;
  /** as the administrator */
  readonly send: Send;
  /** Writes a kubeconfig file, as installers do. */
  kubeconfig(name: string, login?: Login): string;
  /** Ends the API server, and starts it again at the same place. */
  restart(how?: 'stop' | 'kill'): Promise<void>;
}

const PATIENCE_MS = 120_000;
const PAUSE_MS = 100;

/** Another program may take a port before the server does, and have that of one that starts again for a while. */
const PORTS_TRIED = 5;
const PORT_PAUSE_MS = 5_000;

const LOOPBACK = '127.0.0.1';

/** @throws Error with the server's last words when it does not get ready */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const servers = await installServers();
  const folder = mkdtempSync(join(options.parent ?? tmpdir(), 'braid-cluster-'));
  chmodSync(folder, 0o700);
  const token = randomBytes(16).toString('hex');
  const etcd = startProcess(join(servers, 'etcd'), ETCD, folder, options.site?.elsewhere);
  try {
    writeFiles(folder, token, options);
    const running = await startApiServer(servers, folder, token, options);
    return clusterOf({ servers, folder, token, options, etcd, ...running });
  } catch (error) {
    await etcd.kill();
    rmSync(folder, { recursive: true });
    throw error;
  }
}

/** On a socket in its folder; nobody but the API server looks for it. It need not survive a power cut. */
const ETCD = [
  '--data-dir=etcd',
  '--unsafe-no-fsync',
  '--log-level=warn',
  '--listen-client-urls=unix://etcd.sock',
  '--advertise-client-urls=http://127.0.0.1:1',
  '--listen-peer-urls=http://127.0.0.1:0',
];

const apiServerFlags = (
  port: number,
  { authorization = 'RBAC', clientCa, site, hasServiceAccounts = false }: ClusterOptions,
): readonly string[] => [
  '--etcd-servers=unix://etcd.sock',
  `--bind-address=${site === undefined ? LOOPBACK : '0.0.0.0'}`,
  `--advertise-address=${site?.address ?? LOOPBACK}`,
  `--secure-port=${port}`,
  '--endpoint-reconciler-type=none',
  '--kubelet-preferred-address-types=InternalIP', // names of nodes are known nowhere
  '--service-cluster-ip-range=10.0.0.0/24',
  '--cert-dir=.', // where it makes a certificate for itself
  '--service-account-issuer=https://kubernetes.default.svc',
  '--service-account-key-file=service-account.key',
  '--service-account-signing-key-file=service-account.key',
  '--token-auth-file=tokens.csv',
  `--authorization-mode=${authorization}`,
  ...(hasServiceAccounts ? [] : ['--disable-admission-plugins=ServiceAccount']), // nobody makes one for each namespace
  ...(authorization === 'Node,RBAC' ? ['--enable-admission-plugins=NodeRestriction'] : []),
  '--allow-privileged=true',
  ...(clientCa === undefined ? [] : ['--client-ca-file=clients.crt']),
];

function writeFiles(folder: string, token: string, { clientCa, users = [] }: ClusterOptions): void {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(join(folder, 'service-account.key'), privateKey.export({ type: 'sec1', format: 'pem' }));
  const all = [{ name: 'admin', group: 'system:masters', token }, ...users];
  const lines = all.map(({ name, group, ...user }) => `${user.token},${name},${name},"${group}"\n`);
  writeFileSync(join(folder, 'tokens.csv'), lines.join(''));
  if (clientCa !== undefined) {
    writeFileSync(join(folder, 'clients.crt'), clientCa);
  }
}

interface Running {
  readonly port: number;
  readonly apiServer: ServerProcess;
}

async function startApiServer(
  servers: string,
  folder: string,
  token: string,
  options: ClusterOptions,
  wanted?: number,
): Promise<Running> {
  for (let attempt = 1; ; attempt++) {
    const port = wanted ?? options.site?.port ?? (await freePort());
    const flags = apiServerFlags(port, options);
    const apiServer = startProcess(join(servers, 'kube-apiserver'), flags, folder, options.site?.elsewhere);
    try {
      await untilReady(apiServer, () => targetOf(folder, port, token, options));
      return { port, apiServer };
    } catch (error) {
      await apiServer.kill();
      if (attempt === PORTS_TRIED || !/address already in use/.test(apiServer.lastWords())) {
        throw error;
      }
      await sleep(wanted === undefined ? 0 : PORT_PAUSE_MS);
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** The certificate is followed by that of the CA which it has made for it. */
const caIn = (folder: string): string => readFileSync(join(folder, 'apiserver.crt'), 'utf8');

const urlOf = (port: number, { site }: ClusterOptions): string => `https://${site?.address ?? LOOPBACK}:${port}`;

function targetOf(folder: string, port: number, token: string, options: ClusterOptions): Target {
  const { site } = options;
  const socket = site === undefined ? {} : { socket: site.socket };
  return { url: urlOf(port, options), ca: caIn(folder), token, ...socket };
}

async function untilReady(server: ServerProcess, target: () => Target): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!(await isReady(target))) {
    if (server.hasEnded() || performance.now() > end) {
      const why = server.hasEnded() ? 'has ended' : `is not ready after ${PATIENCE_MS / 1000} s`;
      throw new Error(`the API server ${why}:\n${server.lastWords()}`);
    }
    await sleep(PAUSE_MS);
  }
}

async function isReady(target: () => Target): Promise<boolean> {
  try {
    using send = senderTo(target());
    const answers = await Promise.all(['/readyz', '/api/v1/namespaces/default'].map((path) => send(path)));
    return answers.every(({ status }) => status === 200);
  } catch {
    return false; // no certificate yet, or nobody listens
  }
}

interface Parts extends Running {
  readonly servers: string;
  readonly folder: string;
  readonly token: string;
  readonly options: ClusterOptions;
  readonly etcd: ServerProcess;
}

function clusterOf({ servers, folder, token, options, etcd, port, ...running }: Parts): Cluster {
  const target = targetOf(folder, port, token, options);
  const { url, ca } = target;
  const send = senderTo(target);
  let { apiServer } = running;
  return {
    url,
    folder,
    ca,
    token,
    etcd,
    apiServer: () => apiServer,
    send,
    kubeconfig: (name, login = { token }) => {
      const path = join(folder, `${name}.kubeconfig`);
      writeFileSync(path, kubeconfigText(login.url ?? url, join(folder, 'apiserver.crt'), login), { mode: 0o600 });
      return path;
    },
    restart: async (how = 'stop') => {
      await apiServer[how]();
      ({ apiServer } = await startApiServer(servers, folder, token, options, port));
    },
    [Symbol.asyncDispose]: async () => {
      send[Symbol.dispose]();
      await Promise.all([apiServer.kill(), etcd.kill()]);
      rmSync(folder, { recursive: true });
    },
  };
}

/** A kubeconfig file as installers write it. */
export const kubeconfigText = (url: string, caFile: string, { token, namespace }: Login): string => `apiVersion: v1
kind: Config
current-context: here
contexts:
  - name: here
    context:
      cluster: local
      user: me
      namespace: ${namespace ?? ''}
clusters:
  - name: local
    cluster:
      server: ${url}
      certificate-authority: ${caFile}
users:
  - name: me
    user:
      token: "${token}"
`;
