import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fakeScope } from '../../lib/cni/testing/fake-scope.ts';
import { temporaryFolder } from '../../lib/sys/testing/temporary.ts';
import { withLog } from './log.ts';

const hostWithLines = () => {
  const lines: string[] = [];
  return { scope: fakeScope({ log: (line) => lines.push(line) }), lines };
};

describe('the log', () => {
  it('goes to the file that is named, a line at a time, instead of stderr', { tags: 'sriov/log' }, () => {
    using folder = temporaryFolder();
    const logFile = join(folder.path, 'sriov.log');
    const { scope, lines } = hostWithLines();
    const logging = withLog({ logFile }, scope);
    logging.log('one');
    logging.log('two');
    expect(readFileSync(logFile, 'utf8')).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z one\n\S+ two\n$/);
    expect(lines).toEqual([]);
  });

  it('goes to stderr when the file cannot be written, or none is named', () => {
    using folder = temporaryFolder();
    const { scope, lines } = hostWithLines();
    withLog({ logFile: folder.path }, scope).log('lost');
    expect(lines.join('\n')).toContain(`cannot append to log file "${folder.path}"`);
    withLog({}, scope).log('here');
    expect(lines.at(-1)).toBe('here');
  });
});
