import { messageOf } from '../../lib/cni/errors.ts';
import type { CommonConf } from './config.ts';
import { RotatedLog } from './log-file.ts';

const LEVELS = ['panic', 'error', 'verbose', 'debug'] as const;
type Level = (typeof LEVELS)[number];

/** The log that the configuration asks for: on stderr, in a file, in both. */
export interface Log extends AsyncDisposable {
  error(message: string): void;
  warn(message: string): void;
  /** The message is made only when it is written. */
  verbose(message: () => string): void;
  debug(message: () => string): void;
}

/**
 * Opens the log. A file that cannot be written costs one line on stderr, never the call.
 *
 * @param print one line on stderr
 */
export function openLog(conf: CommonConf, print: (line: string) => void): Log {
  const limit = LEVELS.indexOf(levelOf(conf.logLevel, print));
  let file = conf.logFile === '' ? undefined : new RotatedLog(conf.logFile, conf.logOptions);
  const write = (level: Level, message: () => string): void => {
    if (LEVELS.indexOf(level) > limit) {
      return;
    }
    const line = `${localTime(new Date())} [${level}] ${message().replaceAll('\n', '\\n')}`;
    if (conf.logToStderr) {
      print(line);
    }
    try {
      file?.append(`${line}\n`);
    } catch (error) {
      file = undefined; // told once
      print(`cannot write to log file "${conf.logFile}": ${messageOf(error)}`);
    }
  };
  return {
    error: (message) => write('error', () => message),
    warn: (message) => write('error', () => `warning: ${message}`),
    verbose: (message) => write('verbose', message),
    debug: (message) => write('debug', message),
    [Symbol.asyncDispose]: async () => {
      try {
        await file?.close();
      } catch (error) {
        print(`cannot rotate log file "${conf.logFile}": ${messageOf(error)}`);
      }
    },
  };
}

function levelOf(word: string, print: (line: string) => void): Level {
  const level = LEVELS.find((known) => known === word.toLowerCase());
  if (level === undefined && word !== '') {
    print(`cannot use "logLevel" "${word}": not one of ${LEVELS.join(', ')}`);
  }
  return level ?? 'panic';
}

/** RFC 3339 with the zone's offset, whole seconds: `2026-01-31T10:00:00+01:00`. */
export function localTime(date: Date): string {
  const ahead = -date.getTimezoneOffset();
  const clock = new Date(date.getTime() + ahead * 60_000).toISOString().slice(0, 19);
  const pad = (value: number): string => String(value).padStart(2, '0');
  const size = Math.abs(ahead);
  return ahead === 0 ? `${clock}Z` : `${clock}${ahead < 0 ? '-' : '+'}${pad(Math.floor(size / 60))}:${pad(size % 60)}`;
}

/** Opens the log for one call, which gets its failure too. */
export async function withCallLog<T>(
  conf: CommonConf,
  print: (line: string) => void,
  work: (log: Log) => Promise<T>,
): Promise<T> {
  await using log = openLog(conf, print);
  try {
    return await work(log);
  } catch (error) {
    log.error(messageOf(error));
    throw error;
  }
}
