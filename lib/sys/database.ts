/** A value that a database gives or takes; numbers are whole. */
export type SqlValue = string | number | bigint | null | Uint8Array;
export type SqlRow = Readonly<Record<string, SqlValue>>;

export interface Statement {
  get(...values: SqlValue[]): SqlRow | undefined;
  all(...values: SqlValue[]): readonly SqlRow[];
  iterate(...values: SqlValue[]): Iterable<SqlRow>;
  run(...values: SqlValue[]): unknown;
}

/** A connection to an SQLite database. Every call is synchronous, and waits for no lock: see {@link isBusy}. */
export interface Database {
  exec(sql: string): void;
  prepare(sql: string): Statement;
  close(): void;
}

export type OpenDatabase = (path: string) => Promise<Database>;

/**
 * Opens a database file, which is made when it is missing. Node's module is loaded here and not before: no snapshot of
 * the heap can hold it.
 *
 * @throws Error of SQLite, see {@link sqliteCode}
 */
export const openDatabase: OpenDatabase = async (path) => {
  const { DatabaseSync } = loadQuietly();
  return new DatabaseSync(path) as unknown as Database;
};

/** Up to version 24 Node warns of the module, on stderr. */
function loadQuietly() {
  const { emitWarning } = process;
  try {
    process.emitWarning = () => {};
    return process.getBuiltinModule('node:sqlite');
  } finally {
    process.emitWarning = emitWarning;
  }
}

/** https://sqlite.org/rescode.html: the low byte says what kind it is. */
const KIND = 0xff;
const SQLITE_BUSY = 5;

/**
 * The extended result code of an error.
 *
 * @returns undefined when it is none of SQLite
 */
export function sqliteCode(error: unknown): number | undefined {
  const { errcode } = error as { readonly errcode?: unknown };
  return error instanceof Error && typeof errcode === 'number' ? errcode : undefined;
}

/** The result code without what is said about it more closely. */
export const sqliteKind = (error: unknown): number | undefined => {
  const code = sqliteCode(error);
  return code === undefined ? undefined : code & KIND;
};

/** Does somebody else hold the lock? Then the same may work a moment later. */
export const isBusy = (error: unknown): boolean => sqliteKind(error) === SQLITE_BUSY;
