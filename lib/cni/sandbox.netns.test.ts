import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { formatMac, randomMac } from '../net/mac.ts';
import { ip, Lab } from '../testing/lab.ts';
import { identityOf, reopen, type Sandbox } from './sandbox.ts';
import type { Scope } from './scope.ts';

const MAC = formatMac(randomMac()); // others test on this machine too

/** A pod with a process in it and an interface. */
class Pod implements Disposable {
  readonly lab: Lab;
  readonly scope: Scope;
  readonly path: string;
  readonly identity: ReturnType<typeof identityOf>;
  private readonly process: ChildProcess;

  constructor(lab: Lab) {
    this.lab = lab;
    this.scope = lab.scope();
    this.path = lab.podPath;
    ip('-n', lab.pod, 'link', 'add', 'net1', 'address', MAC, 'type', 'bridge');
    this.process = spawn('ip', ['netns', 'exec', lab.pod, 'sleep', '1000'], { stdio: 'ignore' });
    using netns = lab.openPod();
    this.identity = identityOf(this.scope, netns);
  }

  /** The process is in the namespace by now. */
  async started(): Promise<void> {
    while (!readFileSync(`/proc/${this.process.pid}/cmdline`, 'utf8').startsWith('sleep')) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.process.once('exit', resolve));
    this.process.kill('SIGKILL');
    await ended;
  }

  /** What a lost bind mount leaves: a file. */
  loseMount(): void {
    execFileSync('umount', [this.path]);
    expect(existsSync(this.path)).toBe(true);
  }

  async state(sandbox: Partial<Sandbox>): Promise<string> {
    const { state, netns } = await reopen(this.scope, { path: this.path, ...sandbox });
    netns?.[Symbol.dispose]();
    return netns === undefined ? state : `${state} ${netns.identity === this.identity.inode}`;
  }

  [Symbol.dispose](): void {
    this.process.kill('SIGKILL');
    if (!readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${this.path} `)) {
      rmSync(this.path, { force: true });
      ip('netns', 'add', this.lab.pod); // for the lab to remove
    }
  }
}

const link = { name: 'net1', mac: MAC };

describe('reopen', () => {
  it('finds a namespace whose mount is lost by its identity or by its interface, until it ends', async () => {
    using lab = new Lab();
    using pod = new Pod(lab);
    await pod.started();
    const { identity } = pod;
    expect(await pod.state({ identity })).toBe('here true');
    pod.loseMount();
    expect(await pod.state({ identity })).toBe('here true');
    expect(await pod.state({ link })).toBe('here true');
    await expect(pod.state({ link: { ...link, mac: undefined } })).rejects.toMatchObject({ code: 8 });
    await pod.end();
    expect(await pod.state({ identity })).toBe('gone');
    expect(await pod.state({ link })).toBe('gone');
    expect(await pod.state({ link: { name: `n${lab.pod.slice(-8)}`, mac: undefined } })).toBe('gone');
  });

  it('takes what has come to the path since for another', async () => {
    using lab = new Lab();
    using pod = new Pod(lab);
    await pod.started();
    pod.loseMount();
    rmSync(pod.path);
    ip('netns', 'add', lab.pod);
    const { identity } = pod;
    expect(await pod.state({ identity })).toBe('here true');
    await pod.end();
    expect(await pod.state({ identity })).toBe('replaced');
    expect(await pod.state({ identity: { ...identity, boot: 'an earlier one' } })).toBe('replaced');
    // without an identity a name that lasts is believed
    expect([await pod.state({}), await pod.state({ link })]).toEqual(['here false', 'here false']);
    // unless it is plain that the interface there is another pod's
    ip('-n', lab.pod, 'link', 'add', link.name, 'type', 'bridge');
    const known = { ...link, addresses: ['192.0.2.7/24'] };
    expect(await pod.state({ link: known })).toBe('replaced');
    ip('-n', lab.pod, 'addr', 'add', '192.0.2.7/24', 'dev', link.name);
    expect(await pod.state({ link: known })).toBe('here false');
  });

  it('believes no path of a process that leads to the node itself or to another pod', async () => {
    using lab = new Lab();
    using pod = new Pod(lab);
    const node = `/run/netns/${lab.node}`;
    expect(await pod.state({ path: node, link })).toBe('here true');
    expect(await pod.state({ path: node, link, mayBeOwn: true })).toBe('here false');
    expect(await pod.state({ path: node, link: { ...link, mac: '02:00:00:00:00:99' } })).toBe('replaced');
    const foreign = `/proc/${process.pid}/ns/net`;
    expect(await pod.state({ path: foreign, link: { ...link, mac: '02:00:00:00:00:99' } })).toBe('replaced');
    expect(await pod.state({ path: '/run/netns/nothing', link })).toBe('here true');
    ip('-n', lab.pod, 'addr', 'add', '192.0.2.7/24', 'dev', 'net1');
    const known = (...addresses: readonly string[]) => ({ path: '/run/netns/nothing', link: { ...link, addresses } });
    expect(await pod.state(known('192.0.2.7/24'))).toBe('here true');
    expect(await pod.state(known('192.0.2.7/24', '192.0.2.8/24'))).toBe('gone');
    expect(await pod.state({ path: '' })).toBe('gone');
  });

  it('tells a namespace from the one that gets its inode next', async () => {
    using lab = new Lab();
    using pod = new Pod(lab);
    const { identity } = pod;
    expect(identity.cookie).toBeGreaterThan(0);
    expect(await pod.state({ identity: { ...identity, cookie: (identity.cookie ?? 0) + 1 } })).toBe('replaced');
  });
});
