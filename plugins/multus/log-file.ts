import { readdirSync, renameSync, rmSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { basename, dirname, extname, join } from 'node:path';
import { makeFolder } from '../../lib/sys/atomic-file.ts';
import { LogFile } from '../../lib/sys/log-stream.ts';

const MEGABYTE = 1024 * 1024;
const MODE = 0o600;
const DAY_MS = 86_400_000;
const STAMP = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}$/;

export interface Rotation {
  readonly maxAge: number;
  readonly maxSize: number;
  readonly maxBackups: number;
  readonly compress: boolean;
}

const DEFAULT_ROTATION: Rotation = { maxAge: 5, maxSize: 100, maxBackups: 5, compress: true };

/** A log file for the time of one call. It is opened at the first line, and rotated then when it has grown too big. */
export class RotatedLog {
  private readonly path: string;
  private readonly rotation: Rotation;
  private file: LogFile | undefined;
  private hasRotated = false;

  constructor(path: string, rotation: Rotation = DEFAULT_ROTATION) {
    this.path = path;
    this.rotation = rotation;
  }

  /** @throws the system's error; nothing can be appended then */
  append(line: string): void {
    try {
      this.file ??= this.open();
      this.file.append(line);
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** Deletes old files and has others compressed when this call has rotated. */
  async close(): Promise<void> {
    this.dispose();
    if (this.hasRotated) {
      await tidy(this.path, this.rotation);
    }
  }

  private dispose(): void {
    this.file?.[Symbol.dispose]();
    this.file = undefined;
  }

  private open(): LogFile {
    makeFolder(dirname(this.path), { mode: 0o755, sync: false });
    const file = new LogFile(this.path, MODE);
    if (file.size < (this.rotation.maxSize || DEFAULT_ROTATION.maxSize) * MEGABYTE) {
      return file;
    }
    file[Symbol.dispose]();
    renameSync(this.path, backupName(this.path, new Date()));
    this.hasRotated = true;
    return new LogFile(this.path, MODE);
  }
}

function backupName(path: string, date: Date): string {
  const [stem, extension] = partsOf(path);
  return join(dirname(path), `${stem}-${date.toISOString().slice(0, 23).replaceAll(':', '-')}${extension}`);
}

async function tidy(path: string, { maxAge, maxBackups, compress }: Rotation): Promise<void> {
  const backups = backupsOf(path);
  const isOld = ({ time }: Backup): boolean => maxAge > 0 && Date.now() - time > maxAge * DAY_MS;
  const kept = backups.filter((backup, index) => !isOld(backup) && (maxBackups === 0 || index < maxBackups));
  for (const { file } of backups.filter((backup) => !kept.includes(backup))) {
    rmSync(file, { force: true });
  }
  const plain = kept.map(({ file }) => file).filter((file) => compress && !file.endsWith('.gz'));
  if (plain.length > 0) {
    await startCompressing(plain);
  }
}

interface Backup {
  readonly file: string;
  readonly time: number;
}

/** The rotated files of a log, newest first. */
function backupsOf(path: string): readonly Backup[] {
  const [stem, extension] = partsOf(path);
  return readdirSync(dirname(path))
    .flatMap((name) => {
      const plain = name.endsWith('.gz') ? name.slice(0, -3) : name;
      const stamp = plain.slice(stem.length + 1, plain.length - extension.length);
      return plain === `${stem}-${stamp}${extension}` && STAMP.test(stamp)
        ? [{ file: join(dirname(path), name), time: timeOf(stamp) }]
        : [];
    })
    .sort((a, b) => b.time - a.time);
}

const timeOf = (stamp: string): number => Date.parse(`${stamp.slice(0, 11)}${stamp.slice(11).replaceAll('-', ':')}Z`);

/** A program of its own, which nobody waits for: 100 MB take seconds. On a node without gzip files stay as they are. */
async function startCompressing(files: readonly string[]): Promise<void> {
  const { spawn } = await import('node:child_process');
  const gzip = spawn('gzip', ['--force', '--', ...files], { cwd: '/', env: {}, detached: true, stdio: 'ignore' });
  gzip.on('error', () => undefined);
  gzip.unref();
  if (gzip.pid !== undefined) {
    setPriority(gzip.pid, constants.priority.PRIORITY_LOW);
  }
}

function partsOf(path: string): readonly [string, string] {
  const extension = extname(path);
  return [basename(path, extension), extension];
}
