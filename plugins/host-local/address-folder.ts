import { closeSync, existsSync, ftruncateSync, openSync, readdirSync, readFileSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { formatIp, type Ip, parseIp } from '../../lib/net/ip.ts';
import { removeQuietly } from '../../lib/sys/atomic-file.ts';
import { ioError, isMissing } from '../../lib/sys/io-error.ts';
import { writeAll } from '../../lib/sys/write-all.ts';
import { isAddressName, type Owner, Owners, readOwner } from './owners.ts';

/** An address and who has it. */
export interface Held {
  /** of the file */
  readonly name: string;
  readonly ip: Ip;
  readonly owner: Owner;
}

/** After so many addresses that are taken, the names of all are read: an error for each costs more. */
const TRIES = 3;

/**
 * The addresses of a network in the Go plugin's form: a file for each, named after it, with the container ID and the
 * interface, and for each range set one with the address that was given last. Call with the folder's lock, and `finish`.
 *
 * An address is given by creating its file, which succeeds once: whatever else is wrong, none is given twice.
 */
export class AddressFolder {
  readonly path: string;
  private owners: Owners | undefined;
  private taken: Set<string> | undefined;
  private misses = 0;
  private isChanged = false;

  constructor(path: string) {
    this.path = path;
  }

  /**
   * What the attachment holds. Files without an interface, of older versions, count where there are no others.
   *
   * @throws CniError ioFailure
   */
  heldBy(owner: Owner): readonly Held[] {
    const { owners } = this.known();
    const exact = this.verified(owners.namesOf(owner), owner);
    const legacy = { ...owner, ifname: '' };
    return exact.length > 0 ? exact : this.verified(owners.namesOf(legacy), legacy);
  }

  /** The same, and so if somebody has put files there without their folder showing it. */
  surelyHeldBy(owner: Owner): readonly Held[] {
    const held = this.heldBy(owner);
    if (held.length > 0 || this.known().owners.isFresh) {
      return held;
    }
    this.known().owners.readAll();
    return this.heldBy(owner);
  }

  /** @throws CniError ioFailure */
  all(): readonly Held[] {
    return this.known()
      .owners.names()
      .flatMap((name) => {
        const [ip, owner] = [parseIp(name), readOwner(join(this.path, name))];
        return ip === undefined || owner === undefined || owner.id === '' ? [] : [{ name, ip, owner }];
      });
  }

  /** Who has the address; undefined when nobody has. */
  holderOf(ip: Ip): Owner | undefined {
    const owner = readOwner(join(this.path, formatIp(ip)));
    return owner?.id === '' ? undefined : owner;
  }

  /**
   * Gives an address.
   *
   * @returns false when it is taken
   * @throws CniError ioFailure; then nothing is left of it
   */
  give(ip: Ip, owner: Owner): boolean {
    const name = formatIp(ip);
    if (this.taken?.has(name)) {
      return false;
    }
    const { owners } = this.known();
    if (!this.create(name, owner)) {
      this.misses++;
      this.taken ??= this.misses < TRIES ? undefined : new Set(readdirSync(this.path));
      return false;
    }
    this.isChanged = true;
    this.taken?.add(name);
    owners.add(name, owner);
    return true;
  }

  /**
   * Gives back; what is missing is no failure.
   *
   * @throws CniError ioFailure
   */
  takeBack(name: string): void {
    const file = join(this.path, name);
    this.known();
    try {
      unlinkSync(file);
    } catch (error) {
      if (!isMissing(error)) {
        throw ioError('remove', file, error);
      }
    }
    this.isChanged = true;
    this.taken?.delete(name);
  }

  /**
   * Addresses whose files say nothing: their ADD was killed or met a full disk, or the power went. With the lock nobody is
   * about to write them.
   */
  abandoned(): readonly string[] {
    return this.known()
      .owners.empty()
      .filter((name) => readOwner(join(this.path, name))?.id === '');
  }

  /** The same, unless finding them means reading all files. */
  abandonedIfKnown(): readonly string[] {
    return this.known().owners.isFresh ? this.abandoned() : [];
  }

  /** The address that was given last of a set; undefined when the file is missing or says nothing of use. */
  lastGiven(set: number): Ip | undefined {
    try {
      return parseIp(readFileSync(this.lastFile(set), 'utf8'));
    } catch {
      return undefined;
    }
  }

  /** In place: that needs no room on a full disk. @throws CniError ioFailure */
  keepLastGiven(set: number, ip: Ip): void {
    const file = this.lastFile(set);
    try {
      const isThere = existsSync(file);
      const fd = openSync(file, isThere ? 'r+' : 'w', 0o600);
      this.isChanged ||= !isThere;
      try {
        const text = formatIp(ip);
        writeAll(fd, text);
        ftruncateSync(fd, text.length);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      throw ioError('write', file, error);
    }
  }

  /** After the last change. */
  finish(): void {
    this.owners?.keep(this.isChanged);
  }

  private known(): { readonly owners: Owners } {
    this.owners ??= new Owners(this.path);
    return { owners: this.owners };
  }

  private verified(names: readonly string[], owner: Owner): readonly Held[] {
    return names.flatMap((name) => {
      const ip = isAddressName(name) ? parseIp(name) : undefined;
      const found = ip === undefined ? undefined : readOwner(join(this.path, name));
      const isTheirs = found?.id === owner.id && found.ifname === owner.ifname;
      return ip !== undefined && isTheirs ? [{ name, ip, owner }] : [];
    });
  }

  private create(name: string, { id, ifname }: Owner): boolean {
    const file = join(this.path, name);
    let fd: number;
    try {
      fd = openSync(file, 'wx', 0o600);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') {
        return false;
      }
      throw ioError('create', file, error);
    }
    try {
      writeAll(fd, `${id}\r\n${ifname}`);
    } catch (error) {
      removeQuietly(file);
      throw ioError('write', file, error);
    } finally {
      closeSync(fd);
    }
    return true;
  }

  private lastFile(set: number): string {
    return join(this.path, `last_reserved_ip.${set}`);
  }
}
