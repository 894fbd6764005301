import { messageOf } from '../../lib/cni/errors.ts';
import { LogFile } from '../../lib/sys/log-stream.ts';

export interface LogSettings {
  readonly log_file: string;
  readonly log_level: string;
}

export interface Log {
  /** One line per step of a call that goes well: runtimes take what is on stderr for trouble, so it is kept out there. */
  step(line: string): void;
  /** Something is wrong, and the call goes on. */
  warn(line: string): void;
  /** A failure is answered on stdout anyway: it goes to the file only. */
  failure(line: string): void;
}

const LEVELS = ['panic', 'error', 'verbose', 'debug'];

/**
 * `log_file` and `log_level`: what cannot be used is told on stderr and never stops a call. Steps are on stderr only where
 * a level asks for them and no file is named.
 */
export function openLog({ log_file: file, log_level: level }: LogSettings, stderr: (line: string) => void): Log {
  const depth = level === '' ? LEVELS.length : LEVELS.indexOf(level.toLowerCase());
  if (depth < 0) {
    stderr(`cannot use "log_level" "${level}": it is not one of ${LEVELS.join(', ')}`);
  }
  const isOn = (word: string) => depth < 0 || depth >= LEVELS.indexOf(word);
  let isUsable = file !== '';
  const append = (line: string) => {
    if (isUsable) {
      isUsable = appendOrTell(file, line, stderr);
    }
  };
  return {
    step: (line) => {
      if (isOn('verbose')) {
        append(line);
        if (file === '' && level !== '' && depth >= 0) {
          stderr(line);
        }
      }
    },
    warn: (line) => {
      if (isOn('error')) {
        stderr(line);
        append(line);
      }
    },
    failure: (line) => {
      if (isOn('error')) {
        append(line);
      }
    },
  };
}

function appendOrTell(path: string, line: string, stderr: (line: string) => void): boolean {
  try {
    using file = new LogFile(path, 0o644);
    file.append(`${new Date().toISOString()} ${line}\n`);
    return true;
  } catch (error) {
    stderr(`cannot append to log file "${path}": ${messageOf(error)}`);
    return false;
  }
}
