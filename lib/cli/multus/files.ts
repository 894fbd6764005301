import { linkSync, lstatSync, readFileSync, renameSync, rmdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CniError } from '../../cni/errors.ts';
import {
  makeFolder,
  removeQuietly,
  removeWritten,
  syncFolder,
  temporaryFor,
  writeAtomically,
} from '../../sys/atomic-file.ts';
import { ioError, isMissing } from '../../sys/io-error.ts';
import { beforeName } from '../manifest.ts';
import { isSameFile, isThere } from '../place.ts';
import {
  type ConfRecord,
  NOTHING,
  type OwnFile,
  readConfRecord,
  recordIn,
  removeConfRecord,
  writeConfRecord,
} from './record.ts';

/** A file as it should be. Names are relative to the folder of network configurations. */
export interface WantedFile {
  readonly name: string;
  readonly content: string;
  /** default 0600 */
  readonly mode?: number;
}

/** How the folder should be. */
export interface WantedFiles {
  readonly files: readonly WantedFile[];
  /** that must not be there: the other form of the configuration */
  readonly unwanted: readonly string[];
  /** file of somebody else that gets another name, once all files are there */
  readonly rename?: { readonly from: string; readonly to: string } | undefined;
}

const FILE_MODE = 0o600;
const FOLDER_MODE = 0o755;

type Sum = (content: string) => string;

/** Hashes texts. Imported on demand: `node:crypto` costs 6 ms at startup. */
export async function textSum(): Promise<Sum> {
  const { createHash } = await import('node:crypto');
  return (content) => createHash('sha256').update(content).digest('hex');
}

/**
 * Makes the folder as it should be. What is to be changed is recorded before, so that `restoreFiles` finds all of it
 * wherever this was interrupted. Files of others are kept under another name; each file changes in one step.
 *
 * @returns names of the files that were changed
 * @throws CniError ioFailure; nobody sees a part of a file
 */
export function bringFiles(folder: string, wanted: WantedFiles, sum: Sum): readonly string[] {
  const known = readConfRecord(folder) ?? NOTHING;
  const changes = wanted.files.filter(({ name, content }) => contentOf(join(folder, name)) !== content);
  const unwanted = wanted.unwanted.filter((name) => isThere(join(folder, name)));
  const rename = wanted.rename !== undefined && isThere(join(folder, wanted.rename.from)) ? wanted.rename : undefined;
  const empty = changes.find(({ content }) => content.trim() === '');
  if (empty !== undefined) {
    throw new CniError('internal', `cannot write "${join(folder, empty.name)}": it would be empty`);
  }
  const record = recordOf(folder, known, { changes, unwanted, rename }, sum);
  if (JSON.stringify(record) !== JSON.stringify(known)) {
    writeConfRecord(folder, record);
  }
  for (const { name, content, mode = FILE_MODE } of changes) {
    makeFolder(dirname(join(folder, name)), { mode: FOLDER_MODE });
    keepForeign(folder, name, record, sum);
    writeAtomically(join(folder, name), content, { mode });
  }
  for (const name of unwanted) {
    keepForeign(folder, name, record, sum);
    remove(join(folder, name));
  }
  if (rename !== undefined) {
    move(join(folder, rename.from), join(folder, rename.to));
  }
  return [...changes.map(({ name }) => name), ...unwanted, ...(rename === undefined ? [] : [rename.from])];
}

interface Changes {
  readonly changes: readonly WantedFile[];
  readonly unwanted: readonly string[];
  readonly rename: WantedFiles['rename'];
}

function recordOf(folder: string, known: ConfRecord, { changes, unwanted, rename }: Changes, sum: Sum): ConfRecord {
  const files: Record<string, OwnFile> = { ...known.files };
  const folders = new Set(known.folders);
  for (const name of [...changes.map((change) => change.name), ...unwanted]) {
    const content = changes.find((change) => change.name === name)?.content;
    const now = contentOf(join(folder, name));
    const old = known.files[name];
    const isForeign = now !== undefined && old?.sha256.includes(sum(now)) !== true;
    const before = isForeign ? beforeName(name) : old?.before;
    const sums = [content, isForeign ? undefined : now].flatMap((text) => (text === undefined ? [] : [sum(text)]));
    files[name] = { sha256: [...new Set(sums)], ...(before === undefined ? {} : { before }) };
    if (dirname(name) !== '.' && !isThere(join(folder, dirname(name)))) {
      folders.add(dirname(name));
    }
  }
  const { [rename?.from ?? '']: _, ...renamed } = known.renamed;
  return {
    files,
    renamed: rename === undefined ? known.renamed : { ...renamed, [rename.from]: rename.to },
    folders: [...folders],
  };
}

/** The first file of somebody else is kept, under a second name at first: its name always leads to a whole file. */
function keepForeign(folder: string, name: string, record: ConfRecord, sum: Sum): void {
  const path = join(folder, name);
  const { before, sha256 = [] } = record.files[name] ?? {};
  const now = contentOf(path);
  if (before === undefined || now === undefined || sha256.includes(sum(now)) || isThere(join(folder, before))) {
    return;
  }
  try {
    linkSync(path, join(folder, before));
  } catch (error) {
    throw ioError('set aside', path, error);
  }
  syncFolder(dirname(path));
}

/** What became of a file: `left` is somebody else's, who has replaced ours. */
export type FileFate = 'removed' | 'put back' | 'left' | 'missing';

/**
 * Takes back all that `bringFiles` has done: what it wrote is removed if it is still the same, what it kept gets its name
 * again. The record goes last, so that it can be repeated after an interruption.
 *
 * @returns undefined when there is nothing to take back
 * @throws CniError ioFailure
 */
export function restoreFiles(folder: string, sum: Sum): Readonly<Record<string, FileFate>> | undefined {
  const record = readConfRecord(folder);
  removeQuietly(temporaryFor(recordIn(folder)));
  if (record === undefined) {
    return undefined;
  }
  const fates: Record<string, FileFate> = {};
  for (const [name, to] of Object.entries(record.renamed)) {
    fates[name] = putBack(join(folder, to), join(folder, name));
  }
  // what runtimes read first: they must not find a configuration whose kubeconfig is gone
  for (const name of Object.keys(record.files).sort()) {
    fates[name] = restoreFile(folder, name, record.files[name] as OwnFile, sum);
  }
  for (const name of record.folders) {
    removeFolder(join(folder, name));
  }
  syncFolder(folder);
  removeConfRecord(folder);
  syncFolder(folder);
  return fates;
}

function restoreFile(folder: string, name: string, { sha256, before }: OwnFile, sum: Sum): FileFate {
  const path = join(folder, name);
  const kept = before === undefined ? undefined : join(folder, before);
  const now = contentOf(path);
  removeQuietly(temporaryFor(path));
  if (now !== undefined && !sha256.includes(sum(now))) {
    if (kept !== undefined && isSameFile(kept, path)) {
      remove(kept); // install was interrupted before it replaced the file
      return 'put back';
    }
    return 'left';
  }
  if (kept !== undefined && isThere(kept)) {
    move(kept, path);
    return 'put back';
  }
  remove(path);
  return now === undefined ? 'missing' : 'removed';
}

/** Who has written the file anew meanwhile keeps it, and the old one too unless it is the same. */
function putBack(kept: string, path: string): FileFate {
  const old = contentOf(kept);
  if (old === undefined) {
    return isThere(path) ? 'put back' : 'missing';
  }
  const now = contentOf(path);
  if (now === undefined) {
    move(kept, path);
    return 'put back';
  }
  if (now === old) {
    remove(kept);
    return 'put back';
  }
  return 'left';
}

/** undefined when it is not there. @throws CniError ioFailure */
export function contentOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isMissing(error) || (error as NodeJS.ErrnoException).code === 'ENOTDIR') {
      return undefined;
    }
    throw ioError('read', path, error);
  }
}

function move(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    throw ioError('rename', from, error);
  }
}

function remove(path: string): void {
  try {
    removeWritten(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOTDIR') {
      throw ioError('remove', path, error);
    }
  }
}

/** Only an empty one: what others have put in stays. */
function removeFolder(path: string): void {
  try {
    if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true) {
      rmdirSync(path);
    }
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) {
      throw ioError('remove', path, error);
    }
  }
}
