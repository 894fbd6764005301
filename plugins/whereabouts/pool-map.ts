import { count } from '../../lib/cli/table.ts';
import { type Grid, gridOf } from './pool-grid.ts';
import type { PoolView, State } from './pool-view.ts';

const SIGNS: Readonly<Record<State, string>> = { free: '.', taken: '#', partly: '+', excluded: 'x', static: 'S' };

/** The picture of a pool as text. */
export function mapOf(view: PoolView): readonly string[] {
  const grid = gridOf(view);
  const width = Math.max(...grid.rows.map(({ label }) => label.length));
  return [
    `${view.name}: ${legendOf(grid)}`,
    ...grid.rows.map(
      ({ label, cells }) => `  ${label.padEnd(width)}  ${cells.map(({ state }) => SIGNS[state]).join('')}`,
    ),
    ...(grid.omitted === '' ? [] : [`  (${grid.omitted})`]),
  ];
}

function legendOf({ rows, addressesPerCell }: Grid): string {
  const shown = new Set(rows.flatMap(({ cells }) => cells.map(({ state }) => state)));
  const words = (Object.keys(SIGNS) as readonly State[])
    .filter((state) => shown.has(state))
    .map((state) => `${SIGNS[state]} ${state === 'partly' ? 'partly taken' : state}`);
  return `one sign is ${count(addressesPerCell, 'address', 'addresses')}: ${words.join(', ')}`;
}
