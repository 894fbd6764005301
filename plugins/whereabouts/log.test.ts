import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../lib/sys/testing/temporary.ts';
import { openLog } from './log.ts';

describe('openLog', () => {
  it.each([
    ['', ['warning'], ['step', 'warning', 'failure']],
    ['debug', ['warning'], ['step', 'warning', 'failure']],
    ['Verbose', ['warning'], ['step', 'warning', 'failure']],
    ['error', ['warning'], ['warning', 'failure']],
    ['panic', [], []],
    [
      'loud',
      ['cannot use "log_level" "loud": it is not one of panic, error, verbose, debug', 'warning'],
      ['step', 'warning', 'failure'],
    ],
  ])('at level "%s" tells what it should', (level, onStderr, inFile) => {
    using folder = temporaryFolder();
    const file = join(folder.path, 'log');
    const lines: string[] = [];
    const log = openLog({ log_file: file, log_level: level }, (line) => lines.push(line));
    log.step('step');
    log.warn('warning');
    log.failure('failure');
    expect(lines).toEqual(onStderr);
    const written = inFile.length === 0 ? [] : readFileSync(file, 'utf8').trimEnd().split('\n');
    expect(written.map((line) => line.split(' ').at(-1))).toEqual(inFile);
  });

  it.each([
    ['', []],
    ['debug', ['step']],
    ['verbose', ['step']],
    ['error', []],
  ])('without a file tells steps on stderr only at a level that is asked for: "%s"', (level, onStderr) => {
    const lines: string[] = [];
    openLog({ log_file: '', log_level: level }, (line) => lines.push(line)).step('step');
    expect(lines).toEqual(onStderr);
  });

  it('fails no call when the file cannot be written', () => {
    const lines: string[] = [];
    openLog({ log_file: '/missing/log', log_level: '' }, (line) => lines.push(line)).step('step');
    expect(lines).toEqual([expect.stringMatching(/^cannot append to log file "\/missing\/log": ENOENT/)]);
  });
});
