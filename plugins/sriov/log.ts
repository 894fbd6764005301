import { appendFileSync } from 'node:fs';
import { messageOf } from '../../lib/cni/errors.ts';
import { hostWith } from '../../lib/cni/host.ts';
import { type JsonObject, lookUp } from '../../lib/cni/json.ts';
import type { Host } from '../../lib/cni/plugin.ts';

/** What is logged are warnings: these levels leave them out. */
const SILENT = ['panic', 'error'];

/** The same host, but `logLevel` and `logFile` are obeyed. A file that cannot be written costs one line on stderr. */
export function withLog(document: JsonObject, host: Host): Host {
  const [level, file] = [textOf(document, 'logLevel'), textOf(document, 'logFile')];
  if (SILENT.includes(level.toLowerCase())) {
    return hostWith(host, { log: () => undefined });
  }
  return file === '' ? host : hostWith(host, { log: (line) => append(file, line, host.log) });
}

function append(file: string, line: string, stderr: (line: string) => void): void {
  try {
    appendFileSync(file, `${new Date().toISOString()} ${line}\n`, { mode: 0o600 });
  } catch (error) {
    stderr(`cannot append to log file "${file}": ${messageOf(error)}`);
    stderr(line);
  }
}

/** DEL obeys them too, and fails for neither. */
function textOf(document: JsonObject, key: string): string {
  const value = lookUp(document, key);
  return typeof value === 'string' ? value : '';
}
