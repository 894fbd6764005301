import { describe, expect, it } from 'vitest';
import type { PodCall } from './call.ts';
import { networkConf, text } from './config.ts';
import { CniError } from './errors.ts';
import type { JsonObject } from './json.ts';
import { definePlugin } from './plugin.ts';
import { EMPTY_RESULT } from './result.ts';
import { fakeScope } from './testing/fake-scope.ts';

const nothing = async () => undefined;

describe('Plugin.foresee', () => {
  it.each([
    ['validates where nothing more is foreseen', undefined, ['validated']],
    ['validates before it foresees more', true, ['validated', 'foreseen']],
  ])('%s', async (_, hasMore, expected) => {
    const seen: string[] = [];
    const plugin = definePlugin({
      ...{ name: 'fake', about: '', conf: networkConf({ word: text('A word.') }) },
      ...{ add: async () => EMPTY_RESULT, del: nothing, check: nothing, status: nothing, gc: nothing },
      validate: ({ conf }) => {
        seen.push('validated');
        if (conf.word === 'bad') {
          throw new CniError('invalidNetworkConfig', 'cannot use it');
        }
      },
      ...(hasMore && { foresee: async () => void seen.push('foreseen') }),
    });
    const callWith = (document: JsonObject) => ({ document, stdin: Buffer.alloc(0) }) as unknown as PodCall<JsonObject>;
    await plugin.foresee(callWith({}), fakeScope());
    expect(seen).toEqual(expected);
    await expect(plugin.foresee(callWith({ word: 'bad' }), fakeScope())).rejects.toThrow('cannot use it');
  });
});
