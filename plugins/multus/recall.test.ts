import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeCached } from '../../lib/cni/result-cache.ts';
import { recallAll } from './recall.ts';
import { NO_POD } from './runtime-args.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'braid-recall-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const silent = () => undefined;
const LOG = {
  error: silent,
  warn: silent,
  verbose: silent,
  debug: silent,
  [Symbol.asyncDispose]: async () => undefined,
};

/** A record of libcni. */
function record(cacheDir: string, network: string, type: string, { ifName = 'eth0', containerId = 'C1' } = {}): void {
  const config = Buffer.from(JSON.stringify({ cniVersion: '1.0.0', name: network, plugins: [{ type }] }));
  const args = [['K8S_POD_NAME', 'web']] as const;
  writeCached(cacheDir, {
    network,
    containerId,
    ifName,
    netns: '/run/netns/n1',
    config,
    args,
    capabilityArgs: {},
    result: { cniVersion: '1.0.0' },
  });
}

const recall = async () => {
  const shared = {
    ...{ containerId: 'C1', netns: '', ifName: 'eth0', args: [], capabilityArgs: {}, timeoutMs: 1000 },
    ...{ cacheDir: join(folder, 'multus'), path: [], env: {} },
  };
  const { attachments } = await recallAll({
    shared,
    pod: { pod: NO_POD, cniArgs: '', supplied: undefined },
    cniVersion: '1.0.0',
    log: LOG,
    runtimeCache: folder,
    configured: async () => [],
  });
  return attachments.map(({ list, runtime }) => [list.name, runtime.ifName, runtime.cacheDir]);
};

describe('what DEL goes by without a scratch file', () => {
  it('is the network that the runtime attached itself before multus was there', async () => {
    record(folder, 'own', 'bridge');
    record(folder, 'cni-loopback', 'loopback', { ifName: 'lo' });
    record(folder, 'own', 'bridge', { containerId: 'C2' });
    expect(await recall()).toEqual([['own', 'eth0', folder]]);
  });

  it('is nothing where the runtime knows of multus alone', async () => {
    record(folder, 'multus-cni-network', 'multus');
    record(folder, 'thick', 'multus-shim');
    expect(await recall()).toEqual([]);
  });

  it('is what multus has recorded, if anything', async () => {
    record(join(folder, 'multus'), 'lan', 'macvlan');
    record(folder, 'own', 'bridge');
    expect(await recall()).toEqual([['lan', 'eth0', join(folder, 'multus')]]);
  });
});
