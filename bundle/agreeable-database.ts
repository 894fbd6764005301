/** A database that does as SQLite would for what the address store and the journal of a node say to it, and holds nothing outside of the heap. */
import type { Database, SqlRow, SqlValue, Statement } from '../lib/sys/database.ts';

type Table = SqlRow[];

/** Node's own cannot be in a snapshot. A statement is known by its beginning, so this must be able to tell them apart. */
export function agreeableDatabase(): Database {
  const tables: Record<string, Table> = { store: [], reservation: [], free: [], held: [], deleted: [] };
  const pragmas: Record<string, SqlValue> = {
    user_version: 0,
    application_id: 0,
    journal_mode: 'wal',
    quick_check: 'ok',
    page_count: 1,
  };
  const table = (sql: string): Table => tables[/(?:FROM|INTO|UPDATE) (\w+)/.exec(sql)?.[1] ?? ''] ?? [];
  return {
    exec: (sql) => {
      for (const [, name = '', value] of sql.matchAll(/PRAGMA (user_version|application_id) = (\d+)/g)) {
        pragmas[name] = Number(value);
      }
    },
    prepare: (sql): Statement => {
      const pragma = /^PRAGMA (\w+)/.exec(sql)?.[1];
      const all = (...values: SqlValue[]): readonly SqlRow[] =>
        pragma === undefined ? select(sql, table(sql), values) : [{ [pragma]: pragmas[pragma] ?? 0 }];
      return {
        all,
        iterate: all,
        get: (...values) => all(...values)[0],
        run: (...values) => change(sql, table(sql), values),
      };
    },
    close: () => undefined,
  };
}

const COLUMNS: Readonly<Record<string, readonly string[]>> = {
  store: ['id', 'sequence', 'base', 'checksum'],
  reservation: ['network', 'range', 'key', 'address', 'container', 'interface', 'pod', 'conf', 'checksum'],
  free: ['network', 'range', 'first', 'last', 'checksum'],
  held: [
    ...['cluster', 'network', 'container', 'interface', 'range', 'key', 'stored_range', 'pod', 'conf'],
    ...['reservation', 'sure'],
  ],
  deleted: ['cluster', 'network', 'container', 'interface', 'ranges', 'at', 'due', 'busy', 'tries', 'done'],
};

/** `column = ?`, `column <= ?` and the like, all of them true; in the order that is asked for, or counted. */
function select(sql: string, table: Table, values: readonly SqlValue[]): readonly SqlRow[] {
  const plain = sql.replace(/(\w+) BETWEEN \? AND \?/g, '$1 >= ? AND $1 <= ?');
  const conditions = [...plain.matchAll(/(\w+) (=|<=|>=|>) \?/g)];
  const found = table.filter((row) =>
    conditions.every(([, column = '', sign], index) => {
      const [own, other] = [row[column] ?? '', values[index] ?? ''];
      return sign === '=' ? own === other : sign === '>' ? own > other : sign === '>=' ? own >= other : own <= other;
    }),
  );
  if (sql.startsWith('SELECT count(*)')) {
    return [{ count: found.length }];
  }
  const [, by, direction] = /ORDER BY (\w+)( DESC)?/.exec(sql) ?? [];
  if (by !== undefined) {
    found.sort((a, b) => ((a[by] ?? '') < (b[by] ?? '') ? -1 : 1) * (direction === undefined ? 1 : -1));
  }
  return found.slice(0, Number(/LIMIT (\d+)/.exec(sql)?.[1] ?? found.length));
}

function change(sql: string, table: Table, values: readonly SqlValue[]): void {
  const [head = '', where = ''] = sql.split(' WHERE ');
  const set = [...head.matchAll(/(\w+) = \?/g)].map(([, column = '']) => column);
  if (sql.startsWith('INSERT')) {
    const columns = COLUMNS[/INTO (\w+)/.exec(sql)?.[1] ?? ''] ?? [];
    table.push(Object.fromEntries(columns.map((column, index) => [column, values[index] ?? ''])));
    return;
  }
  const numbers = [...head.matchAll(/(?:SET|,) (\w+) = (\d+)(?!\w)/g)];
  const fixed = Object.fromEntries(numbers.map(([, column = '', value]) => [column, Number(value)]));
  const chosen = new Set(select(where, table, values.slice(set.length)));
  const kept = table.flatMap((row) => {
    const changed = {
      ...row,
      ...fixed,
      ...Object.fromEntries(set.map((column, index) => [column, values[index] ?? ''])),
    };
    return !chosen.has(row) ? [row] : sql.startsWith('UPDATE') ? [changed] : [];
  });
  table.splice(0, table.length, ...kept);
}
