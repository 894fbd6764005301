/** `braid`, the command for people, on a node of its own. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { BASE_ENV, type Outcome } from './execute.ts';
import { Lab, PARENT, type Pod } from './lab.ts';
import { SCRIPT, STANDALONE } from './programs.ts';

export const POD_ARGS =
  'IgnoreUnknown=1;K8S_POD_NAMESPACE=lab;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=c1;K8S_POD_UID=u1';

/** A node whose folders for configurations, records and plugins are its own. */
export class BraidNode implements AsyncDisposable {
  readonly lab: Lab;
  readonly bin: string;
  readonly confDir: string;
  readonly cacheDir: string;
  readonly store: string;

  private constructor(lab: Lab) {
    this.lab = lab;
    this.bin = join(lab.dir, 'bin');
    this.confDir = lab.folder('net.d');
    this.cacheDir = lab.folder('cni');
    this.store = join(lab.dir, 'store');
  }

  static async open(): Promise<BraidNode> {
    return new BraidNode(await Lab.open());
  }

  /** `braid …` as people call it. */
  braid(command: string, form: 'standalone' | 'script' = 'standalone'): Promise<Outcome> {
    return this.run(join(form === 'standalone' ? STANDALONE : SCRIPT, 'braid'), command);
  }

  run(program: string, command: string): Promise<Outcome> {
    return this.lab.execute([program, ...command.split(' ')], { env: BASE_ENV, cwd: this.lab.dir });
  }

  /** A command about the node, told where its folders are. */
  about(command: string, more = ''): Promise<Outcome> {
    const folders = `--conf-dir ${this.confDir} --cache-dir ${this.cacheDir}`;
    return this.braid(`${command} ${folders} ${more}`.trim());
  }

  /** What a command prints with --json. */
  async json<T>(command: string, exitCode = 0): Promise<T> {
    const outcome = await this.about(command, '--json');
    expect(outcome, outcome.stderr).toMatchObject({ exitCode });
    return JSON.parse(outcome.stdout) as T;
  }

  /** A network of one macvlan with addresses of the node's store. */
  network(name: string, ipam: object = {}, more: object = {}): object {
    const own = { type: 'whereabouts', datastore: 'file', data_dir: this.store, range: '10.5.0.0/24', ...ipam };
    return { cniVersion: '1.1.0', name, plugins: [{ type: 'macvlan', master: PARENT, ipam: own, ...more }] };
  }

  /** multus with these networks. */
  multus(delegates: readonly object[], more: object = {}): object {
    const cniDir = join(this.lab.dir, 'multus');
    mkdirSync(cniDir, { recursive: true });
    return {
      cniVersion: '1.1.0',
      name: 'node',
      plugins: [{ type: 'multus', cniDir, binDir: STANDALONE, delegates, ...more }],
    };
  }

  pod(): Promise<Pod> {
    return this.lab.pod();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab[Symbol.asyncDispose]();
  }
}
