/** An agent in the place of the Go plugin's daemon, the Go shim that calls it, and what both did. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { execute, type Outcome } from '../../../lab/execute.ts';
import { Lab, type Pod } from '../../../lab/lab.ts';
import { type Call, envOf, OURS, type Side, stdinOf } from '../../../lab/programs.ts';
import { comparable, filesIn, stateOf } from '../../../lab/state.ts';
import { installThick } from '../../../peers/peers.ts';
import { Agent } from '../../../resident/agent.ts';

const SHIM: Side = { ...OURS, bin: installThick() };

export const POD =
  'IgnoreUnknown=1;K8S_POD_NAMESPACE=lab;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=c1;K8S_POD_UID=u1';

export interface HttpOutcome {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

export class Thick implements AsyncDisposable {
  readonly lab: Lab;
  readonly agent: Agent;
  /** of the sockets */
  readonly dir: string;

  private constructor(lab: Lab, agent: Agent, dir: string) {
    this.lab = lab;
    this.agent = agent;
    this.dir = dir;
  }

  /**
   * @param more keys of its daemon-config.json
   * @param wrapper words in front of the agent's command
   */
  static async open(
    more: object | ((lab: Lab) => object) = {},
    wrapper: (lab: Lab) => readonly string[] = () => [],
  ): Promise<Thick> {
    const lab = await Lab.open();
    const dir = join(lab.dir, 'shim');
    mkdirSync(dir, { mode: 0o700 });
    const file = join(lab.dir, 'daemon-config.json');
    const keys = { socketDir: dir, cniDir: lab.folder('multus'), binDir: OURS.bin };
    writeFileSync(file, JSON.stringify({ ...keys, ...(typeof more === 'function' ? more(lab) : more) }));
    try {
      const own = { options: ['--multus-config', file], wrapper: wrapper(lab) };
      return new Thick(lab, await Agent.start(lab, own), dir);
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  get socket(): string {
    return join(this.dir, 'multus.sock');
  }

  /** Calls the Go shim as a runtime does. Where it runs is all the same: the agent is on the node. */
  shim(call: Omit<Call, 'plugin'>, onStart?: (kill: () => void) => void): Promise<Outcome> {
    const conf = { ...(call.conf as object), type: 'multus-shim', daemonSocketDir: this.dir };
    const all = { ifName: 'eth0', args: POD, ...call, plugin: 'multus-shim' };
    return execute([join(SHIM.bin, all.plugin)], {
      env: envOf(SHIM, all),
      stdin: stdinOf(conf),
      cwd: this.lab.dir,
      ...(onStart && { onStart }),
    });
  }

  /** Calls our plugin, with what the agent knows of its own. */
  direct(call: Omit<Call, 'plugin'>): Promise<Outcome> {
    const conf = { ...(call.conf as object), type: 'multus', cniDir: join(this.lab.dir, 'multus'), binDir: OURS.bin };
    return this.lab.call({ ifName: 'eth0', args: POD, path: [OURS.bin], ...call, plugin: 'multus', conf });
  }

  /** Asks over HTTP, as a controller does. */
  ask(path: string, body: unknown = '', method = 'POST'): Promise<HttpOutcome> {
    return askOver(this.socket, path, typeof body === 'string' ? body : JSON.stringify(body), method);
  }

  /** Whatever a call could have changed. */
  async everything(pod: Pod) {
    const [inPod, onNode] = await Promise.all([stateOf(pod.name), stateOf(this.lab.node)]);
    const files = Object.entries(filesIn(join(this.lab.dir, 'multus')))
      .filter(([name]) => !name.endsWith('/'))
      .map(([name, content]) => [name, plain(content)]);
    return { pod: comparable(inPod), node: comparable(onNode), files };
  }

  async linksOf(pod: Pod): Promise<readonly unknown[]> {
    return (await stateOf(pod.name)).links.map(({ ifname }) => ifname);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.agent[Symbol.asyncDispose]();
    await this.lab[Symbol.asyncDispose]();
  }
}

/** Hardware addresses are random, and each namespace is another. */
export const plain = (text: string): string =>
  text
    .replaceAll(/([0-9a-f]{2}:){5}[0-9a-f]{2}/g, 'a MAC')
    .replaceAll(/"inode":"[\d:]+","cookie":\d+/g, '"inode":"its own"');

export function askOver(socketPath: string, path: string, body: string, method = 'POST'): Promise<HttpOutcome> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, method, headers: { 'Content-Type': 'application/json' } }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', () =>
        resolve({
          status: answer.statusCode ?? 0,
          headers: answer.headers,
          body: Buffer.concat(chunks).toString('utf8'),
        }),
      );
    });
    sent.on('error', reject);
    sent.end(body);
  });
}
