import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { readConf } from '../../lib/cni/config.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import { fakeNode } from '../../lib/cni/testing/fake-node.ts';
import { CommonConf } from './config.ts';
import { localTime, openLog, withCallLog } from './log.ts';
import { multus } from './plugin.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'braid-log-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const STAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d) /;

async function write(conf: JsonObject, stderr: string[] = []): Promise<string[]> {
  await using log = openLog(readConf(CommonConf, conf), (line) => stderr.push(line));
  log.error('one');
  log.warn('two');
  log.verbose(() => 'three');
  log.debug(() => 'four\nlines');
  return stderr;
}

describe('the log', () => {
  it.each<[string, string[]]>([
    ['', []],
    ['panic', []],
    ['ERROR', ['[error] one', '[error] warning: two']],
    ['verbose', ['[error] one', '[error] warning: two', '[verbose] three']],
    ['Debug', ['[error] one', '[error] warning: two', '[verbose] three', '[debug] four\\nlines']],
  ])('has at level %j the lines %j', async (logLevel, lines) => {
    const stderr = await write({ logLevel });
    expect(stderr.map((line) => line.replace(STAMP, ''))).toEqual(lines);
    expect(stderr.every((line) => STAMP.test(line))).toBe(true);
  });

  it('complains once about a level that it does not know', async () => {
    expect(await write({ logLevel: 'loud' })).toEqual([
      'cannot use "logLevel" "loud": not one of panic, error, verbose, debug',
    ]);
  });

  it('goes to a file, for root only, whose folder it makes', async () => {
    const logFile = join(dir, 'deep/multus.log');
    expect(await write({ logFile, logLevel: 'error', logToStderr: false })).toEqual([]);
    expect(readFileSync(logFile, 'utf8')).toMatch(/^\S+ \[error\] one\n\S+ \[error\] warning: two\n$/);
    expect(statSync(logFile).mode & 0o777).toBe(0o600);
    expect(statSync(join(dir, 'deep')).mode & 0o777).toBe(0o755);
    await write({ logFile, logLevel: 'error', logToStderr: false });
    expect(readFileSync(logFile, 'utf8').split('\n').length).toBe(5);
  });

  it('touches no file when there is nothing to write', async () => {
    await write({ logFile: join(dir, 'multus.log') });
    expect(readdirSync(dir)).toEqual([]);
  });

  it('does not fail the call when the file cannot be written', async () => {
    const stderr = await write({ logFile: dir, logLevel: 'error', logToStderr: false });
    expect(stderr).toEqual([expect.stringMatching(/^cannot write to log file ".*": EISDIR/)]);
  });

  it.each(['/proc/999999/fd/1', '/proc/x', '/dev/full'])(
    'costs one line on stderr when it is %s, and no more time than that',
    async (logFile) => {
      const stderr = await write({ logFile, logLevel: 'debug', logToStderr: false });
      expect(stderr).toEqual([expect.stringMatching(`^cannot write to log file "${logFile}": `)]);
    },
  );

  it('is not waited for when it is a pipe that nobody reads', async () => {
    const logFile = join(dir, 'pipe');
    execFileSync('mkfifo', [logFile]);
    const stderr = await write({ logFile, logLevel: 'debug', logToStderr: false });
    expect(stderr).toEqual([expect.stringMatching(/: ENXIO/)]);
  });

  it('gets the failure of the call', async () => {
    const stderr: string[] = [];
    const conf = readConf(CommonConf, { logLevel: 'error' });
    const failure = withCallLog(
      conf,
      (line) => stderr.push(line),
      () => Promise.reject(new Error('broken')),
    );
    await expect(failure).rejects.toThrow('broken');
    expect(stderr[0]).toMatch(/ \[error\] broken$/);
  });
});

describe('rotation', () => {
  const logFile = (): string => join(dir, 'multus.log');
  const options = (more: JsonObject): JsonObject => ({
    logFile: logFile(),
    logLevel: 'error',
    logToStderr: false,
    logOptions: { maxSize: 1, ...more },
  });
  const grow = (): void => {
    writeFileSync(logFile(), 'old\n', { mode: 0o600 });
    truncateSync(logFile(), 1024 * 1024);
  };

  it('begins a new file when the old one has grown too big, and has that compressed', async () => {
    grow();
    await write(options({}));
    await vi.waitFor(
      () => expect(readdirSync(dir).filter((name) => !name.endsWith('.gz'))).toEqual(['multus.log']),
      9000,
    );
    const [backup, current] = readdirSync(dir).sort();
    expect(current).toBe('multus.log');
    expect(backup).toMatch(/^multus-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}\.log\.gz$/);
    const file = join(dir, backup ?? '');
    expect(gunzipSync(readFileSync(file)).length).toBe(1024 * 1024);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(logFile(), 'utf8').split('\n').length).toBe(3);
  });

  it('keeps as many as it is told, none too old, and no file of others', async () => {
    for (const stamp of ['2026-01-02T00-00-00.000', '2026-01-01T00-00-00.000', '2001-01-01T00-00-00.000']) {
      writeFileSync(join(dir, `multus-${stamp}.log`), '');
    }
    writeFileSync(join(dir, 'multus-notes.log'), '');
    grow();
    await write(options({ maxBackups: 2, maxAge: 0, compress: false }));
    const kept = readdirSync(dir).sort();
    expect(kept.slice(0, 1)).toEqual(['multus-2026-01-02T00-00-00.000.log']);
    expect(kept.length).toBe(4);
    expect(kept).toContain('multus-notes.log');
    grow();
    await write(options({ maxBackups: 0, maxAge: 1, compress: false }));
    expect(readdirSync(dir)).not.toContain('multus-2001-01-01T00-00-00.000.log');
  });

  it('leaves a small file alone', async () => {
    writeFileSync(logFile(), 'old\n');
    await write(options({}));
    expect(readFileSync(logFile(), 'utf8')).toMatch(/^old\n/);
  });
});

describe('localTime', () => {
  const at = (offset: number): string => {
    const date = new Date('2026-01-31T09:00:00.900Z');
    date.getTimezoneOffset = () => offset;
    return localTime(date);
  };

  it.each([
    [0, '2026-01-31T09:00:00Z'],
    [-60, '2026-01-31T10:00:00+01:00'],
    [-330, '2026-01-31T14:30:00+05:30'],
    [570, '2026-01-30T23:30:00-09:30'],
  ])('has %d minutes of offset as %s', (offset, text) => {
    expect(at(offset)).toBe(text);
  });
});

describe('what multus logs', () => {
  it('is a line for each network it adds, checks and deletes', async () => {
    using node = fakeNode();
    const conf = {
      cniVersion: '1.0.0',
      name: 'multus',
      type: 'multus',
      cniDir: node.cniDir,
      binDir: node.binDir,
      logLevel: 'verbose',
      delegates: [{ cniVersion: '1.0.0', name: 'a', type: 'alpha' }],
    };
    const env = { CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=demo;K8S_POD_NAME=web' };
    for (const verb of ['ADD', 'CHECK', 'DEL'] as const) {
      await node.run(multus, verb, conf, env);
    }
    await node.run(multus, 'DEL', conf, env);
    expect(node.stderr.map((line) => line.replace(STAMP, ''))).toEqual([
      '[verbose] Add: demo:web:unknownUID:a(a):eth0 {"cniVersion":"1.0.0","interfaces":[{"name":"eth0","sandbox":"/run/netns/n1"}]}',
      '[verbose] Check: demo:web:a(a):eth0 {"cniVersion":"1.0.0","name":"a","type":"alpha"}',
      '[verbose] Del: demo:web:unknownUID:a:eth0 {"cniVersion":"1.0.0","name":"a","type":"alpha"}',
      '[verbose] nothing is known to be attached for container C1',
    ]);
  });

  it('is the failure too', async () => {
    using node = fakeNode();
    await node.run(multus, 'ADD', { name: 'multus', logLevel: 'error', delegates: [] });
    expect(node.stderr[0]).toMatch(/ \[error\] Multus: error loading netconf: cannot use "delegates": \[\] is empty/);
  });
});
