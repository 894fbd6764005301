import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../lib/cni/json.ts';
import { daemonOf } from './daemon-conf.ts';
import { keepShimConf, shimConf } from './shim-conf.ts';

const OWN = { cniVersion: '0.3.1', name: 'demo', type: 'bridge', capabilities: { portMappings: true, mac: false } };
const FILE = '/host/etc/cni/net.d/10-demo.conf';

const textOf = (network: JsonObject, more: JsonObject = {}): string => {
  const daemon = { cniVersion: '0.3.1', ...more };
  return shimConf(network, FILE, daemon, daemonOf(daemon).shim);
};

describe('the configuration of the shim', () => {
  it('is one line, in the order of the daemon', () => {
    expect(textOf(OWN, { logLevel: 'verbose', logToStderr: true, socketDir: '/host/run/multus/' })).toBe(
      `{"capabilities":{"portMappings":true},"cniVersion":"0.3.1","logLevel":"verbose","logToStderr":true,"name":"multus-cni-network","clusterNetwork":"${FILE}","type":"multus-shim"}`,
    );
  });

  it('has what the daemon says, and no more', () => {
    const all = { binDir: '/b', cniDir: '/c', namespaceIsolation: true, globalNamespaces: 'a', daemonSocketDir: '/d' };
    const text = textOf(OWN, { ...all, logFile: '', overrideNetworkName: true, confDir: '/n', chrootDir: '/r' });
    const said = { name: 'demo', clusterNetwork: FILE, type: 'multus-shim', overrideNetworkName: true };
    expect(JSON.parse(text)).toEqual({ capabilities: { portMappings: true }, cniVersion: '0.3.1', ...all, ...said });
  });

  it('takes the capabilities of all plugins of a list, and none where there are none', () => {
    const plugins = [
      { type: 'a', capabilities: { ips: true } },
      { type: 'b' },
      { type: 'c', capabilities: { mac: true } },
    ];
    expect(textOf({ cniVersion: '0.3.1', name: 'l', plugins })).toContain('"capabilities":{"ips":true,"mac":true}');
    expect(textOf({ cniVersion: '0.3.1', name: 'l', type: 'a' })).not.toContain('capabilities');
  });

  it('is none where versions do not go together', () => {
    expect(() => textOf(OWN, { cniVersion: '0.4.0' })).toThrow('its "cniVersion" is 0.3.1, which knows no CHECK');
    expect(JSON.parse(textOf({ ...OWN, cniVersion: '1.0.0' }))).toMatchObject({ cniVersion: '0.3.1' });
  });
});

describe('the file of the shim', () => {
  let folder: string;
  const lines: string[] = [];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'braid-shim-conf-'));
    mkdirSync(join(folder, 'own'));
    mkdirSync(join(folder, 'conf'));
    lines.length = 0;
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  async function keeping(more: JsonObject, work: (file: string) => Promise<void>, name = '00-multus.conf') {
    const daemon = {
      cniVersion: '0.3.1',
      cniConfigDir: join(folder, 'conf'),
      multusAutoconfigDir: join(folder, 'own'),
      ...more,
    };
    const over = new AbortController();
    const kept = keepShimConf(daemon, daemonOf(daemon).shim, { signal: over.signal, log: (line) => lines.push(line) });
    await work(join(folder, 'conf', name));
    over.abort();
    await kept;
  }

  async function until(look: () => boolean): Promise<void> {
    while (!look()) {
      await sleep(5);
    }
  }

  const contains = (file: string, words: string) => () =>
    existsSync(file) && readFileSync(file, 'utf8').includes(words);

  it('is written when there is a network, follows it, comes back, and stays at the end', {
    tags: 'multus/thick-conf',
  }, async () => {
    let file = '';
    await keeping({}, async (path) => {
      file = path;
      await until(() => lines.some((line) => line.includes('there is no network configuration')));
      writeFileSync(join(folder, 'own', '20-a.conf'), JSON.stringify(OWN));
      await until(contains(file, '20-a.conf'));
      expect(statSync(file).mode & 0o777).toBe(0o600);
      writeFileSync(join(folder, 'own', '10-b.conflist'), '');
      await until(() => lines.some((line) => line.includes('10-b.conflist') || line.includes('JSON')));
      expect(readFileSync(file, 'utf8')).toContain('20-a.conf');
      writeFileSync(join(folder, 'own', '10-b.conflist'), JSON.stringify({ ...OWN, type: undefined, plugins: [OWN] }));
      await until(contains(file, '10-b.conflist'));
      rmSync(file);
      await until(contains(file, '10-b.conflist'));
    });
    expect(existsSync(file)).toBe(true);
  });

  it('waits for the file that says that the node is ready', async () => {
    writeFileSync(join(folder, 'own', '10-a.conf'), JSON.stringify(OWN));
    const ready = join(folder, 'ready');
    await keeping({ readinessindicatorfile: ready }, async (file) => {
      await until(() => lines.some((line) => line.includes(`"${ready}" is not there yet`)));
      expect(existsSync(file)).toBe(false);
      writeFileSync(ready, '');
      await until(contains(file, '10-a.conf'));
    });
  });

  it('may be one that is given', async () => {
    const given = join(folder, '70-multus.conf');
    writeFileSync(given, '{"type":"multus-shim"}');
    const work = (file: string) => until(contains(file, 'multus-shim'));
    await keeping({ multusConfigFile: given }, work, '70-multus.conf');
    expect(statSync(join(folder, 'conf', '70-multus.conf')).mode & 0o777).toBe(0o644);
  });
});
