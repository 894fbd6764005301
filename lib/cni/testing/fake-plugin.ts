import { conf } from '../config.ts';
import { definePlugin, type Plugin } from '../plugin.ts';
import { EMPTY_RESULT } from '../result.ts';

/** A plugin that agrees to everything and does nothing, but for the verbs that are given. */
export const fakePlugin = (name: string, verbs: Partial<Plugin> = {}): Plugin => ({
  ...definePlugin({
    name,
    about: '',
    conf: conf({}),
    add: async () => EMPTY_RESULT,
    del: async () => undefined,
    check: async () => undefined,
    status: async () => undefined,
    gc: async () => undefined,
  }),
  ...verbs,
});
