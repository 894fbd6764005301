import { describe, expect, it } from 'vitest';
import { parseCniArgs } from './args.ts';
import { CniError, combineErrors, withPrefix } from './errors.ts';
import { compact, lookUp, pretty, sorted, withPlainIntegers } from './json.ts';
import { fakeScope } from './testing/fake-scope.ts';
import { Undo } from './undo.ts';
import { atLeast, compareVersions } from './versions.ts';

describe('parseCniArgs', () => {
  it.each([
    ['', {}],
    ['MAC=a', { MAC: 'a' }],
    ['MAC=', { MAC: '' }],
    ['MAC=a;MAC=b', { MAC: 'b' }],
    ['X=y;IgnoreUnknown=1', {}],
    ['IgnoreUnknown=TRUE;mac=a', {}],
  ])('reads %j', (text, args) => {
    expect(parseCniArgs(text, ['MAC'])).toEqual(args);
  });
  it.each(['MAC=a=b', 'MAC=a;', 'MAC', ' MAC=a', 'mac=a', 'IgnoreUnknown=yes', 'X=y;IgnoreUnknown=0'])(
    'refuses %j',
    (text) => {
      expect(() => parseCniArgs(text, ['MAC'])).toThrow(expect.objectContaining({ code: 4 }));
    },
  );
});

describe('versions', () => {
  it('compare as numbers, with missing parts 0 and empty 0.1.0', () => {
    expect(compareVersions('1.1', '1.1.0')).toBe(0);
    expect(compareVersions('', '0.1.0')).toBe(0);
    expect(compareVersions('0.10.0', '0.4.0')).toBeGreaterThan(0);
    expect(atLeast('0.3.1', '0.4.0')).toBe(false);
  });
});

describe('JSON as Go prints it', () => {
  it('escapes what HTML would take for a tag', () => {
    expect(compact({ a: '<&>\u2028' })).toBe('{"a":"\\u003c\\u0026\\u003e\\u2028"}');
  });
  it('indents by four spaces', () => {
    expect(pretty({ a: [1] })).toBe('{\n    "a": [\n        1\n    ]\n}');
  });
  it('sorts keys by bytes at every level', () => {
    expect(JSON.stringify(sorted({ b: [{ d: 1, c: 2 }], B: 1, a: 1 }))).toBe('{"B":1,"a":1,"b":[{"c":2,"d":1}]}');
  });
  it('takes no number with fraction or exponent for an integer', () => {
    const text = '{"mtu":1400.0,"a":[1.4e3],"b":7,"c":"x: 1.5","d":1.4e3}';
    const document = withPlainIntegers(JSON.parse(text), text);
    expect(document).toEqual({ mtu: Number.NaN, a: [1400], b: 7, c: 'x: 1.5', d: Number.NaN });
  });
  it('finds the last key that matches in any case', () => {
    expect(lookUp({ mtu: 1, MTU: 2 }, 'mtu')).toBe(2);
  });
});

describe('errors', () => {
  it('keep the code when something is put before them', () => {
    expect(withPrefix('add', new CniError('tryAgainLater', 'busy', { details: 'x' }))).toMatchObject({
      code: 11,
      message: 'add: busy',
      details: 'x',
    });
  });
  it('are one when there are several', () => {
    expect(combineErrors([])).toBeUndefined();
    expect(combineErrors([new CniError(7, 'a'), new Error('b')])).toMatchObject({ code: 7, message: 'a; b' });
  });
});

describe('Undo', () => {
  const run = async (commit: boolean): Promise<readonly string[]> => {
    const done: string[] = [];
    {
      await using undo = new Undo(fakeScope({ log: (line) => done.push(line) }));
      undo.push('first', () => void done.push('first'));
      undo.push('broken', () => Promise.reject(new Error('no')));
      undo.push('last', async () => void done.push('last'));
      if (commit) {
        undo.commit();
      }
    }
    return done;
  };
  it('undoes the last first and goes on after a failure', async () => {
    expect(await run(false)).toEqual(['last', 'cannot undo (broken): no', 'first']);
  });
  it('undoes nothing that was committed', async () => {
    expect(await run(true)).toEqual([]);
  });
});
