import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { Conversation } from '../../netlink/conversation.ts';
import type { Netns } from '../../netns/netns.ts';
import type { Env, Executed } from '../../sys/execute.ts';
import type { Call, PodCall, Verb } from '../call.ts';
import type { Plugin } from '../plugin.ts';
import { EMPTY_RESULT, type Result } from '../result.ts';
import { type Outcome, runPlugin } from '../run.ts';
import type { Scope } from '../scope.ts';
import { FakeLinks } from './fake-links.ts';
import { fakePlugin } from './fake-plugin.ts';
import { fakeScope, openingOf } from './fake-scope.ts';

/** A call that a plugin of the fake node received. */
export interface Recorded {
  readonly verb: string;
  readonly type: string;
  readonly ifName: string;
  readonly env: Env;
  readonly stdin: string;
}

/** A node without a kernel: plugins that only record calls, temporary folders, a namespace that is a set of link names. */
export interface FakeNode extends Disposable {
  readonly scope: Scope;
  readonly binDir: string;
  readonly cniDir: string;
  readonly netnsPath: string;
  /** links in the container */
  readonly links: Set<string>;
  readonly seen: Recorded[];
  readonly stderr: string[];
  readonly slept: number[];
  /** names of parts that were measured */
  readonly spans: string[];
  /** the failure of a call, or undefined; asked before anything changes */
  fail: (verb: string, type: string, ifName: string) => unknown;
  /** what a plugin in this process refuses beforehand, or undefined */
  refuse: (type: string, ifName: string) => unknown;
  /** a plugin's result of ADD in this process, instead of one interface */
  answer: (type: string, call: PodCall<unknown>) => Partial<Result>;
  /** stdout of an executed plugin on ADD, instead of the same as in this process */
  print: (type: string) => string | undefined;
  /** the kernel's number of the namespace: with another one the path leads to another namespace */
  cookie: number;
  /** called when the namespace is opened: what opening it should fail with, or undefined */
  failToOpen: () => unknown;
  /** called at every sleep */
  onSleep: () => void;
  /** what makes the names in a folder durable */
  syncFolder: () => Promise<void>;
  /** `ADD alpha eth0`, in the order of the calls */
  readonly log: () => readonly string[];
  /** every file below cniDir with its content */
  readonly files: () => Readonly<Record<string, string>>;
  run(plugin: Plugin, verb: Verb, document: unknown, env?: Env): Promise<Outcome>;
}

/** @param foreign types that are executed rather than run in this process */
export function fakeNode(own = ['alpha', 'beta', 'gamma'], foreign = ['foreign']): FakeNode {
  const dir = mkdtempSync(join(tmpdir(), 'braid-fake-node-'));
  const [binDir, cniDir] = [join(dir, 'bin'), join(dir, 'cni')];
  mkdirSync(binDir);
  for (const type of [...own, ...foreign]) {
    writeFileSync(join(binDir, type), '');
  }
  const plugins = new Map([...own, ...foreign].map((type) => [type, recordingPlugin(type, () => node)]));
  const links = new Set<string>();
  const netns = { path: '/run/netns/n1', identity: '4:1', netlink: new Conversation(() => new FakeLinks(links)) };
  const node: FakeNode = {
    scope: fakeScopeOf(() => node, { own, plugins, netns }),
    binDir,
    cniDir,
    netnsPath: netns.path,
    links,
    seen: [],
    stderr: [],
    slept: [],
    spans: [],
    fail: () => undefined,
    refuse: () => undefined,
    answer: (_, { ifName, netnsPath }) => ({ interfaces: [{ name: ifName, sandbox: netnsPath }] }),
    print: () => undefined,
    cookie: 1,
    failToOpen: () => undefined,
    onSleep: () => {},
    syncFolder: async () => {},
    log: () => node.seen.map(({ verb, type, ifName }) => `${verb} ${type} ${ifName}`.trim()),
    files: () => filesBelow(cniDir),
    run: (plugin, verb, document, env = {}) => {
      const stdin = Buffer.from(typeof document === 'string' ? document : JSON.stringify(document));
      return runPlugin(
        plugin,
        { env: { ...callEnv(verb, netns.path), CNI_PATH: binDir, ...env }, readStdin: () => stdin },
        node.scope,
      );
    },
    [Symbol.dispose]: () => {
      chmodSync(dir, 0o700);
      rmSync(dir, { recursive: true, force: true });
    },
  };
  return node;
}

export const callEnv = (verb: Verb, netns: string): Record<string, string> => ({
  CNI_COMMAND: verb,
  ...(verb === 'GC' || verb === 'STATUS' ? {} : { CNI_CONTAINERID: 'C1', CNI_NETNS: netns, CNI_IFNAME: 'eth0' }),
});

interface Parts {
  readonly own: readonly string[];
  readonly plugins: ReadonlyMap<string, Plugin>;
  readonly netns: Pick<Netns, 'path' | 'identity' | 'netlink'>;
}

function fakeScopeOf(node: () => FakeNode, { own, plugins, netns }: Parts): Scope {
  const pod = {
    ...netns,
    isSameAs: () => false,
    [Symbol.dispose]: () => {},
  } as unknown as Netns;
  const scope = fakeScope({
    node: {
      host: { ...pod, path: 'own' } as unknown as Netns,
      openNetns: (path) => {
        const failure = node().failToOpen();
        if (failure !== undefined) {
          throw failure;
        }
        const opened = Object.assign(pod, { cookie: node().cookie });
        return openingOf({ [netns.path]: opened })(path);
      },
      observe: (name) => node().spans.push(name),
      disk: { sync: async () => {}, syncData: async () => {}, syncFolder: () => node().syncFolder() },
      execute: async ({ path, env, stdin }) => {
        const executed = await execute(plugins.get(basename(path)), env, stdin, scope);
        const printed = env['CNI_COMMAND'] === 'ADD' ? node().print(basename(path)) : undefined;
        return printed === undefined ? executed : { ...executed, exitCode: 0, stdout: Buffer.from(printed) };
      },
    },
    registry: Object.fromEntries([...plugins].map(([type, plugin]) => [type, async () => plugin])),
    isOwnBuild: (path) => own.includes(basename(path)),
    log: (line) => node().stderr.push(line),
    sleep: async (ms) => {
      node().slept.push(ms);
      node().onSleep();
    },
  });
  return scope;
}

async function execute(plugin: Plugin | undefined, env: Env, stdin: Buffer, scope: Scope): Promise<Executed> {
  if (plugin === undefined) {
    throw new Error('no such program');
  }
  const { stdout, stderr, exitCode } = await runPlugin(plugin, { env, readStdin: () => stdin }, scope);
  return { exitCode, signal: undefined, stdout: Buffer.from(stdout), stderr: Buffer.from(stderr) };
}

function recordingPlugin(type: string, node: () => FakeNode): Plugin {
  const note = async (call: Call<unknown> & { readonly ifName?: string }): Promise<void> => {
    const { verb, ifName = '', env, stdin } = call;
    node().seen.push({ verb, type, ifName, env, stdin: stdin.bytes.toString('utf8') });
    const failure = node().fail(verb, type, ifName);
    if (failure !== undefined) {
      throw failure;
    }
  };
  return fakePlugin(type, {
    add: async (call) => {
      await note(call);
      node().links.add(call.ifName);
      return { ...EMPTY_RESULT, ...node().answer(type, call) };
    },
    del: async (call) => {
      await note(call);
      // the kernel takes time: exposes callers that do not wait
      await new Promise((resolve) => setImmediate(resolve));
      node().links.delete(call.ifName);
    },
    foresee: async ({ ifName }) => {
      const failure = node().refuse(type, ifName);
      if (failure !== undefined) {
        throw failure;
      }
    },
    check: note,
    status: note,
    gc: note,
  });
}

function filesBelow(dir: string): Readonly<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const entry of listing(dir)) {
    const path = join(entry.parentPath, entry.name);
    if (!entry.isDirectory()) {
      files[path.slice(dir.length + 1)] = readFileSync(path, 'utf8');
    }
  }
  return files;
}

function listing(dir: string) {
  try {
    return readdirSync(dir, { recursive: true, withFileTypes: true });
  } catch {
    return [];
  }
}
