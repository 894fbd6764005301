import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CniError } from '../../lib/cni/errors.ts';
import type { Plugin } from '../../lib/cni/plugin.ts';
import { EMPTY_RESULT } from '../../lib/cni/result.ts';
import { type Outcome, runPlugin } from '../../lib/cni/run.ts';
import { fakePlugin } from '../../lib/cni/testing/fake-plugin.ts';
import { findLink } from '../../lib/link/observe.ts';
import { ip, Lab, PARENT, stateOf } from '../../lib/testing/lab.ts';
import { multus } from './plugin.ts';

/** A plugin that makes a link with ip(8), and fails for interfaces that it is told. */
function linkPlugin(lab: Lab, broken: ReadonlySet<string>): Plugin {
  return fakePlugin('link', {
    add: async ({ ifName, netnsPath }) => {
      ip('-n', lab.node, 'link', 'add', 'link', PARENT, 'name', ifName, 'netns', lab.pod, 'type', 'macvlan');
      if (broken.has(ifName)) {
        throw new CniError('tryAgainLater', 'made to fail');
      }
      return { ...EMPTY_RESULT, interfaces: [{ name: ifName, sandbox: netnsPath }] };
    },
    del: async ({ ifName, netnsPath }, scope) => {
      using netns = scope.node.openNetns(netnsPath ?? '');
      const link = await findLink(netns.netlink, ifName);
      if (link !== undefined) {
        await scope.removeLink(netns, link.index);
      }
    },
  });
}

class Pod {
  readonly lab = new Lab();
  readonly broken = new Set<string>();
  readonly dir = mkdtempSync(join(tmpdir(), 'braid-test-'));

  constructor() {
    writeFileSync(join(this.dir, 'link'), '');
  }

  run(verb: string, networks: number): Promise<Outcome> {
    const document = {
      cniVersion: '1.0.0',
      name: 'multus',
      type: 'multus',
      cniDir: join(this.dir, 'cni'),
      binDir: this.dir,
      delegates: Array.from({ length: networks }, (_, index) => ({
        cniVersion: '1.0.0',
        name: `network-${index}`,
        type: 'link',
      })),
    };
    const env = {
      CNI_COMMAND: verb,
      CNI_CONTAINERID: 'c1',
      CNI_NETNS: this.lab.podPath,
      CNI_IFNAME: 'eth0',
      CNI_PATH: this.dir,
    };
    const scope = this.lab.scope({ link: linkPlugin(this.lab, this.broken) });
    return runPlugin(multus as Plugin, { env, readStdin: () => Buffer.from(JSON.stringify(document)) }, scope);
  }

  links(): readonly string[] {
    return (ip('-n', this.lab.pod, 'link') as { ifname: string }[]).map(({ ifname }) => ifname);
  }

  files(): readonly string[] {
    return readdirSync(join(this.dir, 'cni'), { recursive: true }).map(String).sort();
  }

  [Symbol.dispose](): void {
    this.lab[Symbol.dispose]();
    rmSync(this.dir, { recursive: true });
  }
}

describe('multus on a real kernel', () => {
  it('gives a pod its interfaces and takes them all away again', async () => {
    using pod = new Pod();
    const before = stateOf(pod.lab.pod);
    expect(JSON.parse((await pod.run('ADD', 8)).stdout)).toMatchObject({ interfaces: [{ name: 'eth0' }] });
    expect(pod.links()).toEqual(['lo', 'eth0', 'net1', 'net2', 'net3', 'net4', 'net5', 'net6', 'net7']);
    expect(await pod.run('CHECK', 8)).toMatchObject({ exitCode: 0 });
    expect(await pod.run('DEL', 8)).toMatchObject({ exitCode: 0 });
    expect(stateOf(pod.lab.pod)).toEqual(before);
    expect(pod.files()).toEqual(['results']);
  });

  it('leaves the pod as it was when a network fails', async () => {
    using pod = new Pod();
    const before = stateOf(pod.lab.pod);
    pod.broken.add('net2');
    expect(JSON.parse((await pod.run('ADD', 4)).stdout)).toEqual({
      code: 11,
      msg: '[//:network-2]: error adding container to network "network-2": plugin type="link" name="network-2" failed (add): made to fail',
    });
    expect(stateOf(pod.lab.pod)).toEqual(before);
    expect(pod.files()).toEqual(['results']);
  });

  it('does not touch an interface that is not its own', async () => {
    using pod = new Pod();
    ip('-n', pod.lab.pod, 'link', 'add', 'net2', 'type', 'bridge');
    const before = stateOf(pod.lab.pod);
    expect(JSON.parse((await pod.run('ADD', 4)).stdout).msg).toBe(
      `[//:network-2]: error adding container to network "network-2": cannot add interface "net2": it already exists in "${pod.lab.podPath}"`,
    );
    expect(stateOf(pod.lab.pod)).toEqual(before);
  });
});
