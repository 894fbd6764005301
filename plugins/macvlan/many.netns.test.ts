import { execFileSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { EMPTY_RESULT } from '../../lib/cni/result.ts';
import type { Outcome } from '../../lib/cni/run.ts';
import { type Server, serve } from '../../lib/cni/serve.ts';
import { fakePlugin } from '../../lib/cni/testing/fake-plugin.ts';
import { Places } from '../../lib/sys/places.ts';
import { temporaryFolder } from '../../lib/sys/testing/temporary.ts';
import { ip, Lab, PARENT } from '../../lib/testing/lab.ts';
import { macvlan } from './plugin.ts';

const PODS = 64;

/** A node with pods, and an IPAM plugin that tells on stderr for whom it was called. */
class ManyPods implements Disposable {
  readonly lab = new Lab();
  readonly server: Server;
  /** how long the last pod waits for its address */
  patienceMs = 1;
  /** parts of calls that were measured */
  readonly spans = new Set<string>();
  private readonly folder = temporaryFolder();
  private readonly names: readonly string[];

  constructor() {
    this.names = Array.from({ length: PODS }, (_, index) => `${this.lab.pod}-${index}`);
    execFileSync('ip', ['-batch', '-'], { input: this.names.map((name) => `netns add ${name}\n`).join('') });
    writeFileSync(join(this.folder.path, 'telling-ipam'), '');
    const ipam = fakePlugin('telling-ipam', {
      add: async ({ containerId }, scope) => {
        scope.log(`address for ${containerId}`);
        await scope.sleep(containerId === 'c63' ? this.patienceMs : 1);
        scope.log(`given to ${containerId}`);
        return { ...EMPTY_RESULT, ips: [{ address: '192.0.2.5/24' }] };
      },
      del: async ({ containerId }, scope) => scope.log(`address of ${containerId} is free`),
    });
    const { node, suite } = this.lab.scope({ 'telling-ipam': ipam }, { observe: (name) => this.spans.add(name) });
    this.server = { node, suite, places: new Places(PODS), deletions: new Places(PODS), questions: new Places(1) };
  }

  call(verb: string, pod: number, signal?: AbortSignal): Promise<Outcome> {
    const env = {
      CNI_COMMAND: verb,
      CNI_CONTAINERID: `c${pod}`,
      CNI_NETNS: `/run/netns/${this.names[pod]}`,
      CNI_IFNAME: 'net1',
      CNI_PATH: this.folder.path,
    };
    const conf = {
      cniVersion: '1.1.0',
      name: 'many',
      type: 'macvlan',
      master: PARENT,
      ipam: { type: 'telling-ipam' },
    };
    return serve(this.server, macvlan, { env, readStdin: () => Buffer.from(JSON.stringify(conf)) }, signal);
  }

  all(verb: string): Promise<readonly Outcome[]> {
    return Promise.all(this.names.map((_, pod) => this.call(verb, pod)));
  }

  [Symbol.dispose](): void {
    execFileSync('ip', ['-batch', '-'], { input: this.names.map((name) => `netns del ${name}\n`).join('') });
    this.lab[Symbol.dispose]();
    this.folder[Symbol.dispose]();
  }
}

const openFiles = (): number => readdirSync('/proc/self/fd').length;

/** Bytes in use once all garbage is gone. */
function heapBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}

describe('calls of one process', () => {
  it(`are ${PODS} at once, each with its own words, and leave nothing open`, async () => {
    using pods = new ManyPods();
    await pods.all('ADD');
    await pods.all('DEL');
    const files = openFiles();
    const added = await pods.all('ADD');
    expect(added.map(({ exitCode, stderr }) => [exitCode, stderr])).toEqual(
      added.map((_, pod) => [0, `address for c${pod}\ngiven to c${pod}\n`]),
    );
    const macs = added.map(({ stdout }) => JSON.parse(stdout).interfaces[0].mac as string);
    expect(new Set(macs).size).toBe(PODS);
    const deleted = await pods.all('DEL');
    expect(deleted.map(({ stderr }) => stderr)).toEqual(deleted.map((_, pod) => `address of c${pod} is free\n`));
    expect(openFiles()).toBe(files);
    expect(pods.server.node.locks.size).toBe(0);
    expect(ip('-n', `${pods.lab.pod}-7`, 'link')).toHaveLength(1);
  });

  it('tell where their time goes', async () => {
    using pods = new ManyPods();
    await pods.call('ADD', 0);
    await pods.call('DEL', 0);
    const [adding, deleting] = ['macvlan ADD', 'macvlan DEL'];
    const parts = [
      'wait for a place',
      'netlink',
      'telling-ipam ADD',
      adding,
      'netlink with a grace period',
      'link removal',
    ];
    expect([...pods.spans]).toEqual([...parts, 'telling-ipam DEL', deleting]);
  });

  it('are taken back when their caller goes, and keep no other', async () => {
    using pods = new ManyPods();
    pods.patienceMs = 1_000_000;
    const caller = new AbortController();
    const waiting = pods.call('ADD', PODS - 1, caller.signal);
    expect((await pods.call('ADD', 0)).exitCode).toBe(0);
    const links = (): unknown => ip('-n', `${pods.lab.pod}-${PODS - 1}`, 'link');
    while ((links() as readonly unknown[]).length < 2) {
      await sleep(5);
    }
    caller.abort(new Error('the caller has gone'));
    const { stdout, stderr, exitCode } = await waiting;
    expect([exitCode, JSON.parse(stdout).msg]).toEqual([1, expect.stringContaining('the caller has gone')]);
    expect(stderr).toContain(`address of c${PODS - 1} is free`);
    expect(links()).toHaveLength(1);
    expect((await pods.call('DEL', 0)).exitCode).toBe(0);
  });

  it('take no memory that they do not give back, ten thousand of them', { timeout: 300_000 }, async () => {
    using pods = new ManyPods();
    const rounds = async (count: number): Promise<void> => {
      for (let round = 0; round < count; round++) {
        for (const verb of ['ADD', 'CHECK', 'DEL', 'STATUS']) {
          await pods.all(verb);
        }
      }
    };
    await rounds(4);
    const [before, files] = [heapBytes(), openFiles()];
    await rounds(40); // 64 pods, 4 verbs
    expect((heapBytes() - before) / 1024 / 1024).toBeLessThan(2);
    expect(openFiles()).toBe(files);
  });
});
