import { conf } from '../config.ts';
import { definePlugin, type Plugin } from '../plugin.ts';
import { EMPTY_RESULT } from '../result.ts';

/** A plugin that does nothing and succeeds, except for the given verbs. */
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
