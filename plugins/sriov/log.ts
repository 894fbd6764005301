import { messageOf } from '../../lib/cni/errors.ts';
import { type JsonObject, textIn } from '../../lib/cni/json.ts';
import { type Scope, scopeWith } from '../../lib/cni/scope.ts';
import { LogFile } from '../../lib/sys/log-stream.ts';

/** All our log lines are warnings: these levels drop them. */
const SILENT = ['panic', 'error'];

/** The same scope, with `logLevel` and `logFile` applied. A file that cannot be written costs one line on stderr. */
export function withLog(document: JsonObject, scope: Scope): Scope {
  const [level, file] = [textIn(document, 'logLevel'), textIn(document, 'logFile')];
  if (SILENT.includes(level.toLowerCase())) {
    return scopeWith(scope, () => ({ log: () => undefined }));
  }
  return file === '' ? scope : scopeWith(scope, (own) => ({ log: appending(file, own.log) }));
}

/** Appends lines to the file; after the first failure they go to stderr. */
function appending(path: string, stderr: (line: string) => void): (line: string) => void {
  let isBroken = false;
  return (line) => {
    if (!isBroken) {
      try {
        using file = new LogFile(path, 0o600);
        file.append(`${new Date().toISOString()} ${line}\n`);
        return;
      } catch (error) {
        isBroken = true;
        stderr(`cannot append to log file "${path}": ${messageOf(error)}`);
      }
    }
    stderr(line);
  };
}
