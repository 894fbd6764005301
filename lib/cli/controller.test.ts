import { describe, expect, it } from 'vitest';
import { fakeScope } from '../cni/testing/fake-scope.ts';
import type { ControllerPart } from '../controller/part.ts';
import { controller } from './controller.ts';
import type { Program } from './program.ts';

const program: Program = {
  version: '1.2.3',
  id: 'abc',
  form: 'script',
  file: '/x/script/braid',
  folder: '/x/script',
  launcher: () => Buffer.from(''),
  env: {},
  stopSignal: () => {
    throw new Error('it was begun');
  },
};

const part: ControllerPart = {
  name: 'sweep',
  about: 'sweep',
  options: [{ name: 'every', value: 'SECONDS', about: 'pause' }],
  check: ({ every }) => {
    if (every === '0') {
      throw new Error('option "--every" is too small');
    }
  },
  run: async () => undefined,
};

const run = (...args: readonly string[]): Promise<number> => controller(program, [part], args, fakeScope());

describe('braid controller', () => {
  it.each([
    [['--parts', 'sweep,other'], 'unknown part "other": the parts are sweep'],
    [['--address', 'here'], '"here" is not an address to listen at: write ":8080"'],
    [['--evry', '1'], 'unknown option "--evry", did you mean "--every"?'],
    [['--every', '0'], 'option "--every" is too small'],
    [['more'], 'unexpected argument "more"'],
  ])('refuses %j before anything is begun', async (args, message) => {
    await expect(run(...args)).rejects.toThrow(message);
  });

  it('begins with what parts understand', async () => {
    await expect(run('--every', '5', '--parts', 'sweep', '--address', 'none')).rejects.toThrow('it was begun');
  });
});
