import { readFileSync } from 'node:fs';
import { CniError, messageOf } from '../../lib/cni/errors.ts';
import { ioError, isMissing } from '../../lib/sys/io-error.ts';
import type { SysctlReading } from './sysctl-name.ts';

/** The Go plugin's file, for those who look after the node. */
export const ALLOW_LIST = '/etc/cni/tuning/allowlist.conf';

/** Which sysctls may be set. */
export type AllowList = (reading: SysctlReading) => boolean;

const EVERYTHING: AllowList = () => true;

/**
 * Reads the allow-list of the node: an expression a line. Without the file all sysctls are allowed; an empty one allows
 * none.
 *
 * @throws CniError ioFailure when it cannot be read, or an expression is none
 */
export function readAllowList(path = ALLOW_LIST): AllowList {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) {
      return EVERYTHING;
    }
    throw ioError('read', path, error);
  }
  return allowListOf(text, path);
}

/** @throws CniError ioFailure naming the expression that is none */
export function allowListOf(text: string, path = ALLOW_LIST): AllowList {
  const expressions = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line) => expressionOf(line, path));
  return ({ dotted, slashed }) => expressions.some((one) => one.test(dotted) || one.test(slashed));
}

/** It must match the whole name: a part would also be one of another name. */
function expressionOf(line: string, path: string): RegExp {
  const [, flags = '', rest = line] = /^(?:\(\?(i)\))?(.*)$/.exec(line) ?? [];
  try {
    return new RegExp(`^(?:${asJavaScript(rest)})$`, flags);
  } catch (error) {
    throw new CniError('ioFailure', `cannot use "${line}" of "${path}": ${messageOf(error)}`, { cause: error });
  }
}

const CLASSES: Readonly<Record<string, string>> = {
  alnum: '0-9A-Za-z',
  alpha: 'A-Za-z',
  digit: '0-9',
  lower: 'a-z',
  upper: 'A-Z',
  word: '0-9A-Za-z_',
  xdigit: '0-9A-Fa-f',
};

/** Go's expressions where JavaScript would take them for something else without a word. */
const asJavaScript = (expression: string): string =>
  expression
    .replace(/\[:([a-z]+):\]/g, (text, name: string) => CLASSES[name] ?? text)
    .replace(/\\A/g, '^')
    .replace(/\\z/g, '$')
    .replace(/\(\?P</g, '(?<');
