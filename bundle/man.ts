/** Manual pages in section 8, generated from the plugins' and commands' own descriptions. */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { commandsOf } from '../lib/cli/commands.ts';
import type { Command } from '../lib/cni/command.ts';
import type { Plugin } from '../lib/cni/plugin.ts';
import { makeFolder } from '../lib/sys/atomic-file.ts';
import { DIST, pluginNames, ROOT } from './compile.ts';
import { deviceSchemas } from './device-schemas.ts';
import { type Option, optionsOf } from './options.ts';
import { loadPlugin, schemaOf } from './schemas.ts';

const COMMAND_LINE = 'braid';
const DEVICES_PAGE = 'braid-device-plugins';

/** dist/man: `braid.8`, and `braid-macvlan.8` for the plugin macvlan. */
export async function writeManual(version: string): Promise<void> {
  const folder = join(DIST, 'man');
  makeFolder(folder, { mode: 0o755, sync: false });
  const names = pluginNames();
  const plugins = await Promise.all(names.map(loadPlugin));
  for (const plugin of plugins) {
    const [example = ''] = globSync(join(ROOT, 'plugins', plugin.name, 'examples/*.conflist')).sort();
    const options = optionsOf(await schemaOf(plugin.name));
    const text = pageOfPlugin({ plugin, options, example: readFileSync(example, 'utf8') }, version);
    writeFileSync(join(folder, `${pageNameOf(plugin.name)}.8`), text);
  }
  const configurations = deviceSchemas().map(({ schema, told }) => ({
    title: schema['title'] as string,
    options: optionsOf(told),
  }));
  const example = readFileSync(join(ROOT, 'lib/devices/examples/sriov.json'), 'utf8');
  writeFileSync(join(folder, `${DEVICES_PAGE}.8`), pageOfDevices({ configurations, example }, version));
  const program = {
    version,
    id: '',
    form: 'script',
    file: '',
    folder: '',
    launcher: () => Buffer.from(''),
    env: {},
    stopSignal: () => new AbortController().signal,
  } as const;
  writeFileSync(join(folder, `${COMMAND_LINE}.8`), pageOfCommands(commandsOf(program, plugins), names, version));
}

const pageNameOf = (plugin: string): string => `${COMMAND_LINE}-${plugin}`;

interface Documented {
  readonly plugin: Pick<Plugin, 'name' | 'about'>;
  readonly options: readonly Option[];
  /** a plugin list as read by the runtime */
  readonly example: string;
}

/** The page of a plugin. */
export function pageOfPlugin({ plugin, options, example }: Documented, version: string): string {
  return page(pageNameOf(plugin.name), version, [
    ['NAME', `${literal(pageNameOf(plugin.name))} \\- ${text(plugin.about.replace(/^[^:]*: /, ''))}`],
    ['SYNOPSIS', `/opt/cni/bin/${literal(plugin.name)}`],
    [
      'DESCRIPTION',
      text(
        'A CNI plugin: container runtimes call it with a configuration on standard input and CNI_COMMAND and other variables in the environment. Without CNI_COMMAND it prints what it is.',
      ),
    ],
    ['CONFIGURATION', keysOf(options)],
    ['EXAMPLE', verbatim(example)],
    ['SEE ALSO', reference(COMMAND_LINE)],
  ]);
}

interface DocumentedDevices {
  readonly configurations: readonly { readonly title: string; readonly options: readonly Option[] }[];
  /** a configuration */
  readonly example: string;
}

/** The page of configurations of devices. */
export function pageOfDevices({ configurations, example }: DocumentedDevices, version: string): string {
  return page(DEVICES_PAGE, version, [
    ['NAME', `${literal(DEVICES_PAGE)} \\- ${text('configurations of devices that a node hands out to its kubelet')}`],
    [
      'DESCRIPTION',
      text(
        '`braid device-plugins` and `braid agent` read the configurations of the Go device plugins: JSON, with keys that match without regard to case. Unknown keys are ignored; a value that means nothing is an error which names the key.',
      ),
    ],
    ...configurations.map(({ title, options }) => [literal(title.toUpperCase()), keysOf(options)] as const),
    ['EXAMPLE', verbatim(example)],
    ['SEE ALSO', reference(COMMAND_LINE)],
  ]);
}

const keysOf = (options: readonly Option[]): string =>
  options
    .map(({ key, type, fallback, about }) =>
      item(`\`${key}\` (${type}${fallback === '' ? '' : `; default ${fallback}`})`, about),
    )
    .join('\n');

const verbatim = (lines: string): string => `.EX\n${lines.trimEnd().split('\n').map(literal).join('\n')}\n.EE`;

/** The page of the command line. */
export function pageOfCommands(commands: readonly Command[], plugins: readonly string[], version: string): string {
  const parts = commands.map(({ usage, about, options = [] }) =>
    [`.SS ${literal(usage)}`, text(about), ...options.map(([option, what]) => item(`\`${option}\``, what))].join('\n'),
  );
  return page(COMMAND_LINE, version, [
    ['NAME', `${COMMAND_LINE} \\- many networks for Kubernetes pods, fast`],
    ['SYNOPSIS', `${bold(COMMAND_LINE)} COMMAND [OPTION]...`],
    ['COMMANDS', parts.join('\n')],
    ['EXIT STATUS', text('0 done, 1 failed, 2 wrong usage.')],
    ['SEE ALSO', [...plugins.map(pageNameOf), DEVICES_PAGE].map(reference).join(',\n')],
  ]);
}

function page(name: string, version: string, sections: readonly (readonly [string, string])[]): string {
  const parts = sections.map(([heading, content]) => `.SH ${heading}\n${content}\n`);
  return `.TH ${literal(name.toUpperCase())} 8 "" "Braid ${version}" "Braid"\n${parts.join('')}`;
}

const item = (tag: string, content: string): string => `.TP\n${text(tag)}\n${text(content)}`;

const reference = (name: string): string => `${bold(name)}(8)`;

const bold = (words: string): string => `\\fB${literal(words)}\\fR`;

/** Text in backticks becomes bold. */
const text = (words: string): string =>
  words
    .split('`')
    .map((part, index) => (index % 2 === 1 ? bold(part) : literal(part)))
    .join('')
    .replace(/^(\\fB)?(?=[.'])/, '\\&$1');

/** Escaped for roff, where a backslash begins a command, and so does a dot or an apostrophe at the start of a line. */
const literal = (words: string): string =>
  words
    .replace(/\\/g, '\\e')
    .replace(/-/g, '\\-')
    .replace(/^(?=[.'])/, '\\&');
