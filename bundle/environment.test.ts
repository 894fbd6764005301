import { describe, expect, it } from 'vitest';
import { restoreNames } from './environment.ts';

describe('revealed', () => {
  it('gives hidden names their letter back and leaves the others', () => {
    const env = { '\x0eODE_OPTIONS': 'x', '\x1f': '/bin/sh', CNI_COMMAND: 'ADD', lower: 'a', '': '' };
    expect(restoreNames(env)).toEqual({ NODE_OPTIONS: 'x', _: '/bin/sh', CNI_COMMAND: 'ADD', lower: 'a', '': '' });
  });
});
