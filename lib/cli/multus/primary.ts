import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { messageOf } from '../../cni/errors.ts';
import { isObject, type JsonObject, parseJson } from '../../cni/json.ts';
import { parseNetwork } from '../../cni/network-list.ts';
import { isMissing } from '../../sys/io-error.ts';
import { OWN_PREFIX, runsMultus } from './conf.ts';

/** What runtimes read. */
const ENDINGS = ['.conf', '.conflist', '.json'];

/** The node's own network, which multus wraps. */
export type Primary =
  | { readonly state: 'found'; readonly name: string; readonly document: JsonObject }
  /** there is one, but not a whole one: it may be being written */
  | { readonly state: 'unreadable'; readonly name: string; readonly why: string }
  | { readonly state: 'missing'; readonly why: string };

/**
 * Finds the configuration that a runtime would take if multus had none: the first by name. One that runs multus itself
 * is passed over.
 *
 * @param named undefined: the first one
 * @param renamed files that were the first one before and were given another name by install, the last one last
 */
export function findPrimary(folder: string, named: string | undefined, renamed: readonly string[]): Primary {
  if (named !== undefined) {
    return namedPrimary(folder, named);
  }
  for (const name of [...candidatesIn(folder), ...renamed.slice(-1)]) {
    const found = readPrimary(folder, name);
    if (found.state !== 'missing') {
      return found;
    }
  }
  return { state: 'missing', why: `there is no network configuration in "${folder}" to wrap` };
}

function namedPrimary(folder: string, name: string): Primary {
  const found = readPrimary(folder, name);
  return found.state === 'missing' ? { ...found, why: `cannot wrap "${join(folder, name)}": ${found.why}` } : found;
}

function candidatesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
      .filter((name) => ENDINGS.includes(extname(name)) && !name.startsWith(OWN_PREFIX))
      .sort();
  } catch (error) {
    if (isMissing(error)) {
      return [];
    }
    throw error;
  }
}

function readPrimary(folder: string, name: string): Primary {
  let text: string;
  try {
    text = readFileSync(join(folder, name), 'utf8');
  } catch (error) {
    return isMissing(error) ? { state: 'missing', why: 'it is not there' } : unreadable(name, error);
  }
  try {
    const document = parseJson(text);
    if (!isObject(document)) {
      return unreadable(name, new Error('it is not a JSON object'));
    }
    if (runsMultus(document)) {
      return { state: 'missing', why: 'it runs multus itself' };
    }
    parseNetwork(document);
    return { state: 'found', name, document };
  } catch (error) {
    return unreadable(name, error);
  }
}

const unreadable = (name: string, error: unknown): Primary => ({
  state: 'unreadable',
  name,
  why: messageOf(error),
});
