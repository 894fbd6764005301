/** The examples in the plugins' folders do what they say, through cnitool: ADD, CHECK, DEL, DEL. */
import { globSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { PLUGINS, ROOT } from '../lab/programs.ts';
import { broughtIn } from '../lab/rooms.ts';
import { doesWhatItSays } from './example-tests.ts';
import type { Expectation } from './expectation.ts';

const EXAMPLES = globSync('plugins/*/examples/*', { cwd: ROOT }).sort();

const EXPECTATIONS = await broughtIn<Expectation>('examples.ts', 'EXAMPLES');
const expectationOf = (path: string): Expectation =>
  EXPECTATIONS.find(({ plugin }) => path.startsWith(`plugins/${plugin}/`))?.value ?? {};

describe('plugins', () => {
  it.each(PLUGINS)('%s has examples', (plugin) => {
    expect(EXAMPLES.filter((path) => path.startsWith(`plugins/${plugin}/`))).not.toEqual([]);
  });

  it('have no examples that nobody runs', () => {
    expect(EXAMPLES.filter((path) => !path.endsWith('.conflist'))).toEqual([]);
  });
});

describe.concurrent.each(EXAMPLES.filter((path) => expectationOf(path).runBy === undefined))('%s', (path) => {
  doesWhatItSays(path, expectationOf(path));
});
