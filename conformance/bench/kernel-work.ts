/**
 * The kernel's part of one macvlan ADD: the plugin called again and again inside this process, with an IPAM plugin that
 * answers at once. The one place in conformance that imports sources, because no program does only this.
 */
import { join } from 'node:path';
import { definePlugin, type Plugin } from '../../lib/cni/plugin.ts';
import { EMPTY_RESULT } from '../../lib/cni/result.ts';
import { runPlugin } from '../../lib/cni/run.ts';
import { makeScope, type Scope } from '../../lib/cni/scope.ts';
import { makeSuite } from '../../lib/cni/suite.ts';
import { loadNativeFile } from '../../lib/netns/native.ts';
import { makeNode } from '../../lib/node/node.ts';
import { readMark } from '../../lib/sys/build-id.ts';
import type { Env } from '../../lib/sys/execute.ts';
import { macvlan } from '../../plugins/macvlan/plugin.ts';
import { type Conf, ourNetwork } from './confs.ts';
import { netnsPath } from './lab.ts';
import type { Subject, Tools } from './subjects.ts';

const NATIVE = new URL(`../../dist/native/linux-${process.arch}.node`, import.meta.url).pathname;

/** Stands in for whereabouts: the program of that name is of this build, so it is looked up in the registry. */
const instantIpam: Plugin = definePlugin({
  name: 'whereabouts',
  about: '',
  conf: macvlan.conf,
  add: async () => ({ ...EMPTY_RESULT, ips: [{ address: '10.72.0.2/16', gateway: '10.72.0.1' }] }),
  del: async () => undefined,
  check: async () => undefined,
  status: async () => undefined,
  gc: async () => undefined,
});

export function kernelWork({ lab, ours }: Tools): Subject {
  const mark = readMark(join(ours, 'whereabouts'));
  const scope = makeScope({
    node: makeNode({ loadNative: () => loadNativeFile(NATIVE) }),
    suite: makeSuite({ whereabouts: async () => instantIpam }, mark === undefined ? [] : [mark]),
    log: () => undefined,
  });
  return async () => {
    lab.wantNics(1);
    const pod = lab.newPod();
    const env = { CNI_CONTAINERID: pod, CNI_NETNS: netnsPath(pod), CNI_IFNAME: 'net0', CNI_PATH: ours };
    const conf = ourNetwork(0, lab.folder);
    return {
      add: await timeVerb({ ...env, CNI_COMMAND: 'ADD' }, conf, scope),
      del: await timeVerb({ ...env, CNI_COMMAND: 'DEL' }, conf, scope),
    };
  };
}

async function timeVerb(env: Env, conf: Conf, scope: Scope): Promise<number> {
  const stdin = Buffer.from(JSON.stringify(conf));
  const begin = performance.now();
  const { exitCode, stdout } = await runPlugin(macvlan, { env, readStdin: () => stdin }, scope);
  const ms = performance.now() - begin;
  if (exitCode !== 0) {
    throw new Error(`${env['CNI_COMMAND']} inside this process failed: ${stdout}`);
  }
  return ms;
}
