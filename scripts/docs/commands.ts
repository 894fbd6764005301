import { commandsOf } from '../../lib/cli/commands.ts';
import type { Plugin } from '../../lib/cni/plugin.ts';
import { markdownTable } from './markdown.ts';

/** The commands of `braid`. */
export function commandsTable(plugins: readonly Plugin[]): string {
  const program = {
    version: '',
    id: '',
    form: 'script',
    file: '',
    folder: '',
    launcher: () => Buffer.from(''),
    env: {},
    stopSignal: () => new AbortController().signal,
  } as const;
  const rows = commandsOf(program, plugins).map(({ usage, about }) => [`\`${usage}\``, about]);
  return markdownTable(['Command', 'Does'], rows);
}
