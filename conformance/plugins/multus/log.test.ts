/** The log file of multus: rotated, and compressed by nobody whom a call waits for. */
import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { eventually } from '../../lab/eventually.ts';
import { Lab } from '../../lab/lab.ts';
import { STANDALONE } from '../../lab/programs.ts';

const SIZE = 64 * 1024 * 1024;

it('is compressed when the call is long over, and complete', async () => {
  await using lab = await Lab.open();
  const folder = lab.folder('log');
  const logFile = join(folder, 'multus.log');
  writeFileSync(logFile, 'old\n', { mode: 0o600 });
  truncateSync(logFile, SIZE);
  const conf = {
    cniVersion: '1.1.0',
    name: 'log',
    logLevel: 'debug',
    logToStderr: false,
    logFile,
    logOptions: { maxSize: 1 },
    cniDir: join(lab.dir, 'multus'),
    binDir: STANDALONE,
    delegates: [{ cniVersion: '1.1.0', name: 'lan', type: 'macvlan', master: 'par' }],
  };
  const { path: netns } = await lab.pod();
  expect(await lab.call({ verb: 'ADD', plugin: 'multus', conf, netns })).toMatchObject({ exitCode: 0, stderr: '' });
  const names = async () => readdirSync(folder).map((name) => name.replace(/^multus-.*\.log/, 'multus-TIME.log'));
  await eventually(names, ['multus-TIME.log.gz', 'multus.log']);
  const [backup = ''] = readdirSync(folder).sort();
  expect(gunzipSync(readFileSync(join(folder, backup))).length).toBe(SIZE);
  expect(statSync(join(folder, backup)).mode & 0o777).toBe(0o600);
  expect(readFileSync(logFile, 'utf8')).toContain('[verbose]');
});
