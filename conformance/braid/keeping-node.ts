/** A node's folders and a pod's credentials, as `braid install --multus` finds them. */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BASE_ENV, type Env, execute, type Outcome } from '../lab/execute.ts';
import { DIST, SCRIPT, STANDALONE } from '../lab/programs.ts';

export const IN_POD: Env = { ...BASE_ENV, KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' };

const BRAID = join(STANDALONE, 'braid');

/** A network as a cluster has it. */
export const network = (name: string, cniVersion = '1.0.0'): string =>
  JSON.stringify({ cniVersion, name, plugins: [{ type: 'bridge', ipam: {} }] });

export class KeepingNode implements AsyncDisposable {
  readonly dir = mkdtempSync(join(tmpdir(), 'braid-keep-'));
  readonly bin = join(this.dir, 'bin');
  readonly confDir = join(this.dir, 'net.d');
  readonly serviceAccount = join(this.dir, 'account');
  private tokens = 0;
  private readonly children: ChildProcess[] = [];

  constructor() {
    for (const folder of [this.bin, this.confDir, this.serviceAccount]) {
      mkdirSync(folder);
    }
    writeFileSync(join(this.serviceAccount, 'ca.crt'), '-----BEGIN CERTIFICATE-----\n');
    writeFileSync(join(this.serviceAccount, 'namespace'), 'kube-system');
    this.rotate('token-1');
  }

  /** A new token, as kubelet brings it: by a link that changes. */
  rotate(token: string): void {
    const name = `..${++this.tokens}`;
    const folder = join(this.serviceAccount, name);
    mkdirSync(folder);
    writeFileSync(join(folder, 'token'), token);
    symlinkSync(name, join(this.serviceAccount, '..new'));
    renameSync(join(this.serviceAccount, '..new'), join(this.serviceAccount, '..data'));
    rmSync(join(this.serviceAccount, 'token'), { force: true });
    symlinkSync('..data/token', join(this.serviceAccount, 'token'));
  }

  /** The network of the node, written in one step or in two. */
  write(name: string, text: string): void {
    writeFileSync(join(this.confDir, name), text);
  }

  read(name: string): string | undefined {
    try {
      return readFileSync(join(this.confDir, name), 'utf8');
    } catch {
      return undefined;
    }
  }

  /** Names of the networks that multus runs. */
  wrapped(name = '00-multus.conflist'): readonly string[] | undefined {
    const text = this.read(name);
    if (text === undefined) {
      return undefined;
    }
    const { plugins, delegates } = JSON.parse(text) as Conf;
    return (delegates ?? plugins?.[0]?.delegates ?? []).map((one) => one.name);
  }

  words(...more: readonly string[]): readonly string[] {
    const folders = ['--bin', this.bin, '--cni-conf-dir', this.confDir, '--service-account', this.serviceAccount];
    return ['install', '--multus', ...folders, ...more];
  }

  install(...more: readonly string[]): Promise<Outcome> {
    return this.installWith(IN_POD, ...more);
  }

  installWith(env: Env, ...more: readonly string[]): Promise<Outcome> {
    return execute([BRAID, ...this.words(...more)], { env });
  }

  /** The node's programs are these, without a copy. */
  async linkPrograms(): Promise<void> {
    await execute(['ln', '-s', join(STANDALONE, 'multus'), join(this.bin, 'multus')]);
  }

  /**
   * A build in the form of a script, whose id is another one.
   *
   * @returns the path of its `braid`
   */
  build(name: string, change: (id: string) => string): string {
    const dist = join(this.dir, name);
    mkdirSync(join(dist, 'script'), { recursive: true });
    copyFileSync(join(DIST, 'package.json'), join(dist, 'package.json'));
    const text = readFileSync(join(SCRIPT, 'braid'), 'latin1');
    const id = text.match(/[0-9a-f]{32}/g)?.at(-1) ?? '';
    writeFileSync(join(dist, 'script/braid'), text.replaceAll(id, change(id)), { encoding: 'latin1', mode: 0o755 });
    return join(dist, 'script/braid');
  }

  uninstall(...more: readonly string[]): Promise<Outcome> {
    const folders = ['--bin', this.bin, '--conf-dir', this.confDir, '--cache-dir', join(this.dir, 'cache')];
    return execute([BRAID, 'uninstall', ...folders, ...more], { env: BASE_ENV });
  }

  /** An install that keeps watching, with programs that are there. */
  watch(...more: readonly string[]): Watcher {
    return this.watchWith(IN_POD, '--skip-multus-binary-copy', ...more);
  }

  watchWith(env: Env, ...more: readonly string[]): Watcher {
    const child = spawn(BRAID, this.words('--watch', ...more), { env });
    this.children.push(child);
    const output = { text: '' };
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output.text += chunk.toString('utf8');
      });
    }
    const ended = new Promise<number | undefined>((resolve) => child.on('close', (code) => resolve(code ?? undefined)));
    return {
      said: () => output.text,
      end: () => {
        child.kill('SIGTERM');
        return ended;
      },
    };
  }

  /** Every file below the configurations, with mode and content. */
  files(): Readonly<Record<string, string>> {
    const names = readdirSync(this.confDir, { recursive: true, encoding: 'utf8' }).sort();
    return Object.fromEntries(
      names.map((name) => {
        const path = join(this.confDir, name);
        const facts = statSync(path);
        const mode = (facts.mode & 0o777).toString(8);
        return [name, facts.isDirectory() ? mode : `${mode} ${readFileSync(path, 'utf8')}`];
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.children) {
      child.kill('SIGKILL');
    }
    rmSync(this.dir, { recursive: true });
  }
}

export interface Watcher {
  /** on stdout and stderr */
  readonly said: () => string;
  /** @returns its exit code */
  readonly end: () => Promise<number | undefined>;
}

interface Conf {
  readonly delegates?: readonly { readonly name: string }[];
  readonly plugins?: readonly { readonly delegates?: readonly { readonly name: string }[] }[];
}
