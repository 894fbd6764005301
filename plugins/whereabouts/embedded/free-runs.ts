import { bitsOf, type Family, type Ip } from '../../../lib/net/ip.ts';
import { includes, type Range } from '../../../lib/net/range.ts';
import type { SqlRow } from '../../../lib/sys/database.ts';
import type { Connection } from './connection.ts';
import { StoreDamaged } from './faults.ts';
import { checksumOf, ipOfKey, keyOf } from './rows.ts';

interface Run {
  readonly first: bigint;
  readonly last: bigint;
  /** no row has it: nothing is held yet */
  readonly isVirtual?: true;
}

const OF_RANGE = 'FROM free WHERE network = ? AND range = ? AND';
const AT = `SELECT first, last, checksum ${OF_RANGE} first <= ? ORDER BY first DESC LIMIT 1`;
const AROUND = `SELECT first, last, checksum ${OF_RANGE} first <= ? ORDER BY first DESC LIMIT 2`;
const AFTER = `SELECT first, last, checksum ${OF_RANGE} first > ? ORDER BY first LIMIT 1`;
const INSERT = 'INSERT INTO free VALUES (?, ?, ?, ?, ?)';
const UPDATE = 'UPDATE free SET first = ?, last = ?, checksum = ? WHERE network = ? AND range = ? AND first = ?';
const DELETE = 'DELETE FROM free WHERE network = ? AND range = ? AND first = ?';

/**
 * The addresses of one family that nobody holds, in one range or in a whole network (range ''), within a transaction, which
 * has one of these for all that it changes.
 */
export class FreeRuns {
  private readonly store: Connection;
  private readonly network: string;
  private readonly range: string;
  private readonly family: Family;
  private readonly whole: Run;
  /** the row that was read or written last: what is asked next is mostly about the same */
  private known: Run | undefined;

  constructor(store: Connection, network: string, range: string, family: Family) {
    this.store = store;
    this.network = network;
    this.range = range;
    this.family = family;
    this.whole = { first: 0n, last: (1n << BigInt(bitsOf(family))) - 1n };
  }

  /** The lowest that is free, in the window, not excluded and none of `besides`: a step for each run and exclusion. */
  lowest(window: Range, excluded: readonly Range[], besides: readonly Ip[]): bigint | undefined {
    const others = [...excluded, ...besides.map(({ family, value }) => ({ family, first: value, last: value }))];
    let value = window.first;
    while (value <= window.last) {
      const passed = others.find((part) => includes(part, { family: this.family, value }));
      if (passed !== undefined) {
        value = passed.last + 1n;
        continue;
      }
      const run = this.at(value) ?? this.after(value);
      if (run === undefined) {
        return undefined;
      }
      if (run.first <= value) {
        return value;
      }
      value = run.first;
    }
    return undefined;
  }

  /** @returns whether it was free */
  take(value: bigint): boolean {
    const run = this.at(value);
    if (run === undefined) {
      return false;
    }
    const [before, after] = [
      { first: run.first, last: value - 1n },
      { first: value + 1n, last: run.last },
    ].map((part) => (part.first > part.last ? undefined : part));
    if (run.isVirtual) {
      this.insert(before);
      this.insert(after);
    } else if (before === undefined && after === undefined) {
      this.delete(run);
    } else {
      this.change(run, before ?? after ?? run);
      this.insert(before === undefined ? undefined : after);
    }
    return true;
  }

  /** @throws StoreDamaged when it is free already */
  give(value: bigint): void {
    const next = value < this.whole.last ? value + 1n : value;
    const around = this.store
      .all(AROUND, this.network, this.range, this.keyOf(next))
      .flatMap((row) => this.read(row) ?? []);
    if (
      around.some(({ first, last }) => first <= value && value <= last) ||
      (around.length === 0 && this.isUntouched())
    ) {
      throw new StoreDamaged(this.store.path, `address ${this.keyOf(value)} is held and free`);
    }
    const [before, after] = [
      around.find(({ last }) => last === value - 1n),
      around.find(({ first }) => first === next),
    ];
    const joined = { first: before?.first ?? value, last: after?.last ?? value };
    if (joined.first === this.whole.first && joined.last === this.whole.last) {
      for (const run of [before, after]) {
        this.delete(run);
      }
    } else if (before !== undefined) {
      this.delete(after);
      this.change(before, joined);
    } else if (after !== undefined) {
      this.change(after, joined);
    } else {
      this.insert(joined);
    }
  }

  /** The run that the address is in. */
  private at(value: bigint): Run | undefined {
    if (value < this.whole.first || value > this.whole.last) {
      return undefined;
    }
    if (this.known !== undefined && this.known.first <= value && value <= this.known.last) {
      return this.known;
    }
    const run = this.read(this.store.get(AT, this.network, this.range, this.keyOf(value)));
    if (run === undefined) {
      return this.isUntouched() ? { ...this.whole, isVirtual: true } : undefined;
    }
    this.known = run;
    return run.last >= value ? run : undefined;
  }

  private after(value: bigint): Run | undefined {
    this.known = this.read(this.store.get(AFTER, this.network, this.range, this.keyOf(value)));
    return this.known;
  }

  /** Is nothing held yet? Then there is no row of this family. */
  private isUntouched(): boolean {
    return this.read(this.store.get(AFTER, this.network, this.range, `${this.family}:`)) === undefined;
  }

  private insert(run: Run | undefined): void {
    if (run !== undefined) {
      const columns = [this.network, this.range, this.keyOf(run.first), this.keyOf(run.last)];
      this.store.run(INSERT, ...columns, checksumOf(...columns));
    }
  }

  private change({ first: old }: Run, { first, last }: Run): void {
    const [firstKey, lastKey] = [this.keyOf(first), this.keyOf(last)];
    const sum = checksumOf(this.network, this.range, firstKey, lastKey);
    this.store.run(UPDATE, firstKey, lastKey, sum, this.network, this.range, this.keyOf(old));
    this.known = { first, last };
  }

  private delete(run: Run | undefined): void {
    if (run !== undefined) {
      this.store.run(DELETE, this.network, this.range, this.keyOf(run.first));
      this.known = undefined;
    }
  }

  /** @returns undefined for a run of another family */
  private read(row: SqlRow | undefined): Run | undefined {
    if (row === undefined) {
      return undefined;
    }
    const [firstKey, lastKey] = [String(row['first']), String(row['last'])];
    const [first, last] = [ipOfKey(firstKey), ipOfKey(lastKey)];
    const isSound = checksumOf(this.network, this.range, firstKey, lastKey) === row['checksum'];
    if (!isSound || first === undefined || last === undefined) {
      throw new StoreDamaged(
        this.store.path,
        `the row of free addresses from "${firstKey}" does not match its checksum`,
      );
    }
    return first.family === this.family ? { first: first.value, last: last.value } : undefined;
  }

  private keyOf(value: bigint): string {
    return keyOf({ family: this.family, value });
  }
}
