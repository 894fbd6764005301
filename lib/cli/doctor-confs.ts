import { messageOf } from '../cni/errors.ts';
import type { Finding } from '../cni/findings.ts';
import { isObject, type Json, type JsonObject, lookUp, textIn } from '../cni/json.ts';
import { refuseName } from '../cni/network.ts';
import { type NetworkList, parseNetwork } from '../cni/network-list.ts';
import type { Plugin } from '../cni/plugin.ts';
import { readCall } from '../cni/read-call.ts';
import type { Scope } from '../cni/scope.ts';
import { Stdin } from '../cni/stdin.ts';
import type { ConfFile } from './confs.ts';
import { type Plugins, type UnreadKey, unreadKeys, unreadListKeys } from './doctor-keys.ts';

/** The environment of a dummy ADD. */
const ADD = { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'doctor', CNI_IFNAME: 'eth0' };

/**
 * Checks configurations: what every ADD would refuse, in the plugin's own words, and unread keys. Delegates are
 * configurations too.
 */
export async function examineConfs(scope: Scope, files: readonly ConfFile[]): Promise<readonly Finding[]> {
  const loaded = await Promise.all(Object.values(scope.suite.registry).map((load) => load()));
  const plugins = new Map(loaded.map((plugin) => [plugin.name, plugin]));
  return files.flatMap(({ path, document }) =>
    document === undefined ? [] : examineNetwork(document, { path, plugins, isDelegate: false }),
  );
}

interface Examination {
  /** of the file */
  readonly path: string;
  readonly plugins: Plugins;
  /** its caller checks it too */
  readonly isDelegate: boolean;
}

function examineNetwork(document: JsonObject, examination: Examination): readonly Finding[] {
  const { path, plugins, isDelegate } = examination;
  const report = reporter(textIn(document, 'name'), path);
  let list: NetworkList;
  try {
    list = parseNetwork(document);
    refuseName(list.name);
  } catch (error) {
    return isDelegate ? [] : [report.refused(error)];
  }
  const isList = textIn(document, 'type') === '';
  const isOurs = list.plugins.some(({ type }) => plugins.has(type));
  return [
    ...(isList && isOurs ? unreadListKeys(document, plugins).map((key) => report.unread(key, 'the list')) : []),
    ...list.plugins.flatMap(({ document: conf, type }, index) => [
      ...refusals(documentFor(conf, list, index), plugins).map(report.refused),
      ...unreadKeys(conf, plugins).map((key) => report.unread(key, type)),
      ...networksBelow(conf, plugins.get(type)).flatMap((network) =>
        examineNetwork(network, { ...examination, isDelegate: true }),
      ),
    ]),
  ];
}

const reporter = (network: string, path: string) => ({
  refused: (error: unknown): Finding => ({
    level: 'fault',
    text: `network "${network}": ${messageOf(error)}`,
    fix: `fix "${path}": every pod that uses it fails`,
  }),
  unread: ({ path: key, fix }: UnreadKey, of: string): Finding => ({
    level: 'warning',
    text: `network "${network}": unknown key of ${of}: "${key}"`,
    fix: `${fix} ("${path}")`,
  }),
});

/** A plugin's document as libcni builds it, with an empty previous result. */
function documentFor(conf: JsonObject, { name, cniVersion }: NetworkList, index: number): JsonObject {
  const version = cniVersion === '' ? {} : { cniVersion };
  return { ...conf, ...version, name, ...(index === 0 ? {} : { prevResult: version }) };
}

/** What the plugin and its IPAM plugin refuse in the document, if they are ours. */
function refusals(document: JsonObject, plugins: Plugins): readonly unknown[] {
  const ipam = lookUp(document, 'ipam');
  return [textIn(document, 'type'), isObject(ipam) ? textIn(ipam, 'type') : ''].flatMap((type) => {
    const plugin = plugins.get(type);
    try {
      if (plugin !== undefined) {
        validate(plugin, document);
      }
      return [];
    } catch (error) {
      return [error];
    }
  });
}

function validate(plugin: Plugin, document: JsonObject): void {
  const call = readCall(ADD, Stdin.of(Buffer.from(JSON.stringify(document))));
  if (call.verb === 'ADD') {
    plugin.validate(call);
  }
}

/** Delegates of multus: in the configuration, and in files that it names. */
function networksBelow(conf: JsonObject, plugin: Plugin | undefined): readonly JsonObject[] {
  const delegates = lookUp(conf, 'delegates');
  const inline = Array.isArray(delegates) ? (delegates as readonly Json[]).filter(isObject) : [];
  try {
    return [...inline, ...(plugin?.networksAt(conf) ?? [])];
  } catch {
    return inline; // reported by the plugin for the configuration that names the file
  }
}
