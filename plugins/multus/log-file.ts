import {
  closeSync,
  createReadStream,
  createWriteStream,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';

const MEGABYTE = 1024 * 1024;
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
export class LogFile {
  private readonly path: string;
  private readonly rotation: Rotation;
  private fd: number | undefined;
  private hasRotated = false;

  constructor(path: string, rotation: Rotation = DEFAULT_ROTATION) {
    this.path = path;
    this.rotation = rotation;
  }

  /** One write per line: lines of processes that append at the same time do not mix. */
  append(line: string): void {
    this.fd ??= this.open();
    writeSync(this.fd, line);
  }

  /** Compresses and deletes old files when this call has rotated. */
  async close(): Promise<void> {
    if (this.fd !== undefined) {
      closeSync(this.fd);
      this.fd = undefined;
    }
    if (this.hasRotated) {
      await tidy(this.path, this.rotation);
    }
  }

  private open(): number {
    mkdirSync(dirname(this.path), { recursive: true, mode: 0o755 });
    const fd = openSync(this.path, 'a', 0o600);
    if (fstatSync(fd).size < (this.rotation.maxSize || DEFAULT_ROTATION.maxSize) * MEGABYTE) {
      return fd;
    }
    closeSync(fd);
    renameSync(this.path, backupName(this.path, new Date()));
    this.hasRotated = true;
    return openSync(this.path, 'a', 0o600);
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
  for (const { file } of kept.filter(({ file }) => compress && !file.endsWith('.gz'))) {
    await compressFile(file);
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

async function compressFile(file: string): Promise<void> {
  const [{ createGzip }, { pipeline }] = await Promise.all([import('node:zlib'), import('node:stream/promises')]);
  await pipeline(createReadStream(file), createGzip(), createWriteStream(`${file}.gz`, { mode: 0o600 }));
  rmSync(file, { force: true });
}

function partsOf(path: string): readonly [string, string] {
  const extension = extname(path);
  return [basename(path, extension), extension];
}
