import { closeSync, openSync, readdirSync, readFileSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { removeQuietly } from '../../lib/sys/atomic-file.ts';
import { ioError, isMissing } from '../../lib/sys/io-error.ts';
import { writeAll } from '../../lib/sys/write-all.ts';

/** Who holds an address: as its file says. */
export interface Owner {
  readonly id: string;
  /** '' in files of host-local before 0.7 */
  readonly ifname: string;
}

/** Names of address files; the Go plugin's own files and hidden ones are no addresses. */
export const isAddressName = (name: string): boolean =>
  /^(?=.*[.:])[0-9a-fA-F:.]+$/.test(name) && !name.startsWith('.');

const FILE = '.owners';
/** A line with the size of the others follows it. */
const HEADER = 'owners of the addresses in this folder, as of the time it was last changed: may be deleted\n';

/** The time of a folder's last change is put back by so much, to a time that no change of others will give it. */
const PUT_BACK_MS = 60_000;

/** Lines of addresses that are given back stay until the file has this size, and twice as much as when it was begun. */
const LEAST_ROOM = 64 * 1024;

/**
 * Remembers who holds which address, so that not every file need be read to find those of one attachment. The folder
 * itself says whether that is still true: whoever creates or deletes a file in it changes its modification time, which is
 * set to a time in the past, kept here, after each change of ours. The Go plugin knows nothing of it, and need not.
 *
 * What it says is verified by whoever uses it; when in doubt it is forgotten and all files are read. Call with the
 * folder's lock.
 */
export class Owners {
  private readonly folder: string;
  private text: string;
  private readonly added: string[] = [];
  /** all files were read in this call */
  private isRead = false;
  private emptyNames: readonly string[] = [];

  /** @throws CniError ioFailure when files cannot be read */
  constructor(folder: string) {
    this.folder = folder;
    const text = this.remembered();
    this.text = text ?? '';
    if (text === undefined) {
      this.readAll();
    }
  }

  /** Names of the files that may be the attachment's. */
  namesOf({ id, ifname }: Owner): readonly string[] {
    const wanted = ` ${word(id)} ${word(ifname)}\n`;
    const found = new Set<string>();
    for (let at = this.text.indexOf(wanted); at >= 0; at = this.text.indexOf(wanted, at + 1)) {
      found.add(this.text.slice(this.text.lastIndexOf('\n', at - 1) + 1, at));
    }
    return [...found];
  }

  /** All files that may have an owner. */
  names(): readonly string[] {
    this.readAll();
    return [...this.text.matchAll(/^(\S+) \S* \S*$/gm)].flatMap(([, name = '']) => (isAddressName(name) ? [name] : []));
  }

  /** Files that say nothing: what a kill or a full disk leaves of a reservation that nobody has got. */
  empty(): readonly string[] {
    this.readAll();
    return this.emptyNames;
  }

  /** Whether everything was read just now. */
  get isFresh(): boolean {
    return this.isRead;
  }

  /** @throws CniError ioFailure */
  readAll(): void {
    if (this.isRead) {
      return;
    }
    const empty: string[] = [];
    const lines: string[] = [];
    for (const name of addressFilesIn(this.folder)) {
      const owner = readOwner(join(this.folder, name));
      if (owner?.id === '') {
        empty.push(name);
      } else if (owner !== undefined) {
        lines.push(lineOf(name, owner));
      }
    }
    this.isRead = true;
    this.emptyNames = empty;
    const all = lines.join('');
    this.text = `${HEADER}# ${all.length}\n${all}`;
  }

  add(name: string, owner: Owner): void {
    this.added.push(lineOf(name, owner));
    this.text += lineOf(name, owner);
  }

  /**
   * Keeps what is known, after the last change. Best effort: without it the next call reads all files.
   *
   * @param isChanged whether the folder was changed by this call
   */
  keep(isChanged: boolean): void {
    if (!isChanged && !this.isRead) {
      return;
    }
    try {
      const stamp = Date.now() - PUT_BACK_MS;
      const [flags, begin] = this.isRead ? ['w', this.text] : ['a', this.added.join('')];
      const fd = openSync(join(this.folder, FILE), flags, 0o600);
      try {
        writeAll(fd, `${begin}${stampLine(stamp)}`);
      } finally {
        closeSync(fd);
      }
      utimesSync(this.folder, Date.now() / 1000, stamp / 1000);
    } catch {
      removeQuietly(join(this.folder, FILE));
    }
  }

  /** @returns undefined when it is not about the folder as it is */
  private remembered(): string | undefined {
    try {
      const text = readFileSync(join(this.folder, FILE), 'latin1');
      const [, stamp] = /\n= (\d+)\n$/.exec(text.slice(-32)) ?? [];
      const [, size] = /\n# (\d+)\n/.exec(text) ?? [];
      const isNow = Math.round(statSync(this.folder).mtimeMs) === Number(stamp);
      return isNow && text.length < LEAST_ROOM + 2 * Number(size) ? text : undefined;
    } catch {
      return undefined;
    }
  }
}

const stampLine = (ms: number): string => `= ${ms}\n`;
const lineOf = (name: string, { id, ifname }: Owner): string => `${name} ${word(id)} ${word(ifname)}\n`;

/** One word in ASCII. Different texts may become the same: that is why nobody believes it without looking. */
const word = (text: string): string => text.replace(/[^\x21-\x7e]/g, '?');

/** @throws CniError ioFailure */
function addressFilesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
      entry.isFile() && isAddressName(entry.name) ? [entry.name] : [],
    );
  } catch (error) {
    if (isMissing(error)) {
      return [];
    }
    throw ioError('read folder', folder, error);
  }
}

/**
 * Who holds an address: the container ID and the interface in two lines, whatever blanks are around.
 *
 * @returns undefined when the file is missing; an owner without ID when it says nothing
 * @throws CniError ioFailure
 */
export function readOwner(file: string): Owner | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (isMissing(error)) {
      return undefined;
    }
    throw ioError('read', file, error);
  }
  // zeros are what a power cut may leave of a file whose size was known before its content was written
  const [id = '', ifname = ''] = text.replaceAll('\0', '').trim().split(/\r?\n/);
  return { id, ifname };
}
