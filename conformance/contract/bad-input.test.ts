/** Whatever is wrong with a call: the right code, a message that names key and value, and nothing changed. */
import { describe, it } from 'vitest';
import { type Row, refuse } from '../lab/refuse.ts';
import { broughtIn } from '../lab/rooms.ts';

for (const { plugin, value: rows } of await broughtIn<readonly Row[]>('bad.ts', 'BAD')) {
  describe.concurrent(`${plugin} refuses`, () => {
    for (const row of rows) {
      it(`${row.title}, with code ${row.code}`, { tags: row.shows ?? [] }, () => refuse(plugin, row));
    }
  });
}
