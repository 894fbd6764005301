import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { daemonOf, readDaemonConf } from './daemon-conf.ts';

describe('daemonOf', () => {
  it('finds the socket where shims look for it, unless told', () => {
    expect(daemonOf({})).toMatchObject({ socket: '/run/multus/multus.sock', mostCallers: undefined, overlay: {} });
    expect(daemonOf({ socketDir: '/host/run/multus', connectionLimit: 3 })).toMatchObject({
      socket: '/host/run/multus/multus.sock',
      mostCallers: 3,
    });
  });

  it('lays all its keys over those of calls', () => {
    const document = { chrootDir: '/hostroot', cniVersion: '0.3.1', confDir: '/etc/n', more: [1] };
    expect(daemonOf(document).overlay).toEqual(document);
  });

  it.each([undefined, 'auto'])('waits for the node by no file when multusConfigFile is %j', (multusConfigFile) => {
    const { overlay, common } = daemonOf({ multusConfigFile, readinessIndicatorFile: '/run/ready' });
    expect([Object.keys(overlay), common.readinessindicatorfile]).toEqual([['multusConfigFile'], '']);
  });

  it('waits for it where the configuration of the shim is given', () => {
    const { overlay } = daemonOf({ multusConfigFile: '/70-multus.conf', readinessindicatorfile: '/run/ready' });
    expect(overlay).toMatchObject({ readinessindicatorfile: '/run/ready' });
  });

  it('names the keys that it does not heed', () => {
    expect(daemonOf({ chrootDir: '/hostroot', METRICSPORT: 1, binDir: '/b' }).unheeded).toEqual(['METRICSPORT']);
  });

  it.each([
    [{}, ''],
    [{ chrootDir: '' }, ''],
    [{ chrootDir: '/hostroot/' }, '/hostroot'],
    [{ chrootdir: 'hostroot' }, '/hostroot'],
  ])('knows the root of plugins that %j names', (document, root) => {
    expect(daemonOf(document).root).toBe(root);
  });

  it.each([
    [[], 'it is not an object'],
    [{ chrootDir: 1 }, '"chrootDir"'],
    [{ socketDir: 1 }, '"socketDir"'],
    [{ connectionLimit: -1 }, '"connectionLimit"'],
    [{ namespaceIsolation: 'no' }, '"namespaceIsolation"'],
    [{ logToStderr: 'no' }, '"logToStderr"'],
  ])('refuses %j', (document, words) => {
    expect(() => daemonOf(document)).toThrow(words);
  });
});

describe('readDaemonConf', () => {
  it('names the file that it cannot use', () => {
    const folder = mkdtempSync(join(tmpdir(), 'braid-daemon-conf-'));
    const file = join(folder, 'daemon-config.json');
    expect(() => readDaemonConf(file)).toThrow(`cannot use "${file}": ENOENT`);
    writeFileSync(file, '{"socketDir":');
    expect(() => readDaemonConf(file)).toThrow(`cannot use "${file}"`);
    rmSync(folder, { recursive: true });
  });
});
