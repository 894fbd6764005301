/** For tests on the real kernel: a node with a parent interface, and a pod, in their own namespaces. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { Plugin } from '../cni/plugin.ts';
import { makeScope, type Scope } from '../cni/scope.ts';
import type { Registry } from '../cni/suite.ts';
import { loadNativeFile, type Native } from '../netns/native.ts';
import { type Netns, OpenNamespaces } from '../netns/netns.ts';
import { makeNode, type Node, type NodeParts } from '../node/node.ts';
import { randomBytes } from '../sys/random.ts';

export const PARENT = 'up0';

export class Lab implements Disposable {
  readonly node: string;
  readonly pod: string;
  readonly native: Native;

  constructor() {
    const suffix = randomBytes(4).toString('hex');
    this.node = `braid-n-${suffix}`;
    this.pod = `braid-p-${suffix}`;
    this.native = loadNativeFile(join(import.meta.dirname, `../../dist/native/linux-${process.arch}.node`));
    for (const name of [this.node, this.pod]) {
      ip('netns', 'add', name);
      ip('-n', name, 'link', 'set', 'lo', 'up');
    }
    // the kernel would add link-local addresses at any later time
    const none = 'echo 1 > /proc/sys/net/ipv6/conf/default/addr_gen_mode';
    execFileSync('ip', ['netns', 'exec', this.node, 'sh', '-c', none]);
    ip('-n', this.node, 'link', 'add', PARENT, 'type', 'veth', 'peer', 'name', 'up1');
    for (const name of [PARENT, 'up1']) {
      ip('-n', this.node, 'link', 'set', name, 'up');
    }
  }

  get podPath(): string {
    return `/run/netns/${this.pod}`;
  }

  /** A call on a node in that namespace. */
  scope(registry: Readonly<Record<string, Plugin>> = {}, parts: Pick<NodeParts, 'observe'> = {}): Scope {
    const loaders: Registry = Object.fromEntries(
      Object.entries(registry).map(([name, plugin]) => [name, () => Promise.resolve(plugin)]),
    );
    const node = makeNode({ loadNative: () => this.native, ...parts });
    return makeScope({
      node: Object.create(node, { host: { value: node.openNetns(`/run/netns/${this.node}`) } }) as Node,
      suite: { registry: loaders, mark: '', isOwnBuild: () => true },
      log: () => undefined,
    });
  }

  /** @param name of a namespace */
  open(name: string): Netns {
    return new OpenNamespaces(() => this.native).at(`/run/netns/${name}`);
  }

  openPod(): Netns {
    return this.open(this.pod);
  }

  [Symbol.dispose](): void {
    for (const name of [this.pod, this.node]) {
      ip('netns', 'del', name);
    }
  }
}

/** Runs ip(8), and returns its JSON output. */
export function ip(...args: readonly string[]): unknown {
  const text = execFileSync('ip', ['-j', ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  return text.trim() === '' ? [] : JSON.parse(text);
}

/** Links, addresses and routes of a namespace, as ip(8) sees them. */
export const stateOf = (name: string): unknown =>
  [['-d', 'link'], ['addr'], ['route', 'show', 'table', 'all'], ['-6', 'route', 'show', 'table', 'all']].map((query) =>
    ip('-n', name, ...query),
  );
