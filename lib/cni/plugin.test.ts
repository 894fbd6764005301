import { describe, expect, it } from 'vitest';
import type { PodCall } from './call.ts';
import { conf, integer } from './config.ts';
import { CniError } from './errors.ts';
import type { JsonObject } from './json.ts';
import { definePlugin } from './plugin.ts';
import { EMPTY_RESULT } from './result.ts';
import { Stdin } from './stdin.ts';
import { fakeScope } from './testing/fake-scope.ts';

const nothing = async (): Promise<void> => undefined;
const PARTS = {
  name: 'odd',
  about: '',
  conf: conf({ size: integer('') }),
  add: async () => EMPTY_RESULT,
  del: nothing,
  check: nothing,
  status: nothing,
  gc: nothing,
};
const refuseEven = ({ conf: { size } }: { readonly conf: { readonly size: number } }): void => {
  if (size % 2 === 0) {
    throw new CniError('invalidNetworkConfig', `cannot use "size" ${size}: it is even`);
  }
};
const callOf = (document: JsonObject) =>
  ({ document, stdin: Stdin.of(Buffer.from(JSON.stringify(document))) }) as unknown as PodCall<JsonObject>;

describe('foresee of a plugin', () => {
  it.each([
    ['refuses what `validate` refuses, where nothing else is foreseen', { size: 2 }, 'it is even'],
    ['refuses what the schema refuses', { size: 'two' }, '"size"'],
  ])('%s', async (_, document, message) => {
    const plugin = definePlugin({ ...PARTS, validate: refuseEven });
    await expect(plugin.foresee(callOf(document), fakeScope())).rejects.toMatchObject({
      code: 7,
      message: expect.stringContaining(message),
    });
    await plugin.foresee(callOf({ size: 3 }), fakeScope());
  });

  it('asks the plugin what else it foresees, after `validate`', async () => {
    const asked: number[] = [];
    const foresee = async ({ conf: { size } }: { readonly conf: { readonly size: number } }): Promise<void> =>
      void asked.push(size);
    const plugin = definePlugin({ ...PARTS, validate: refuseEven, foresee });
    await expect(plugin.foresee(callOf({ size: 2 }), fakeScope())).rejects.toThrow('it is even');
    await plugin.foresee(callOf({ size: 3 }), fakeScope());
    expect(asked).toEqual([3]);
  });
});
