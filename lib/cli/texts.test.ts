import { describe, expect, it } from 'vitest';
import { pluginConfsIn } from './confs.ts';
import { readOptions, WrongUsage } from './options.ts';
import { age, count, table } from './table.ts';

describe('table', () => {
  it('lines columns up, and leaves out those that are empty', () => {
    expect(
      table(
        ['A', 'LONG', 'C', 'D'],
        [
          ['xyz', '1', '', 'd'],
          ['', '2', '', 'e'],
        ],
      ),
    ).toEqual(['A    LONG  D', 'xyz  1     d', '-    2     e']);
  });
  it('tells ages and counts in words', () => {
    expect([0, 59_000, 61_000, 3_600_000, 90_061_000].map(age)).toEqual(['0 s', '59 s', '1 min 1 s', '1 h', '1 d 1 h']);
    expect([count(1, 'pool'), count(0n, 'address', 'addresses')]).toEqual(['1 pool', '0 addresses']);
  });
});

describe('readOptions', () => {
  it('refuses what the command does not take', () => {
    expect(() => readOptions(['x'], {})).toThrow('unexpected argument "x"');
    expect(() => readOptions(['a', 'b'], {}, 1)).toThrow('unexpected argument "b"');
  });
  it.each([
    [['--no'], 'unknown option "--no"'],
    [['-n'], 'unknown option "-n"'],
    [['--dryrun'], 'unknown option "--dryrun", did you mean "--dry-run"?'],
    [['--bin'], 'option "--bin" needs a value'],
    [['--bin', '--dry-run'], 'option "--bin" needs a value'],
    [['--dry-run=yes'], 'option "--dry-run" takes no value'],
  ])('names the option that is wrong in %o', (args, message) => {
    const options = { bin: { type: 'string' }, 'dry-run': { type: 'boolean' } } as const;
    expect(() => readOptions(args, options)).toThrow(new WrongUsage(message));
  });
});

describe('pluginConfsIn', () => {
  it('finds the plugins of lists and of delegates, with name and version of their network', () => {
    const inner = { name: 'in', plugins: [{ type: 'macvlan' }, { type: 'tuning' }] };
    const document = {
      cniVersion: '1.0.0',
      name: 'out',
      plugins: [{ type: 'multus', delegates: [inner, { type: 'x' }] }],
    };
    expect(pluginConfsIn(document).map(({ type, name, cniVersion }) => [type, name, cniVersion])).toEqual([
      ['multus', 'out', '1.0.0'],
      ['macvlan', 'in', '1.0.0'],
      ['tuning', 'in', '1.0.0'],
      ['x', 'out', '1.0.0'],
    ]);
  });
});
